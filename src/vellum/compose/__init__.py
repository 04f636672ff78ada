"""Turn (claim, platform, observed, seed) into desired objects, conditions and requirements. Pure."""
