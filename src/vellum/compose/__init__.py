"""What a claim means: (claim, platform, observed, seed) to desired objects, conditions and requirements. Pure."""
