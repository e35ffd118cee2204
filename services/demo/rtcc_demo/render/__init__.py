"""Pictures of the invented city: street scenes for the cameras' clips, evidence crops for plate reads. All drawn here, none filmed."""
