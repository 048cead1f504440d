"""Write a model as a file that runs without visionkit, and prove that it gives what the checkpoint gives."""
