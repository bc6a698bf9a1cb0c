"""Pictures and progress, made from plain numbers: nothing here knows how they were computed."""
