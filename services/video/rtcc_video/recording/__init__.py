"""What cameras showed: recorded, kept, found again, played and handed over."""
