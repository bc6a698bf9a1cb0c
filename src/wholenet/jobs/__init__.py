"""What a run comes to, by its task: its data, streams, loss, scores and pictures; and the job that trains it."""
