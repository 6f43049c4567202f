"""What is taken out of an input before anything is stored or sent."""
