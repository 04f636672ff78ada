"""What people write: the two kinds as typed models, and the strict way in. Bytes go in, frozen values come out."""
