"""Secondary models on real films and pictures: attributes, plates, and looks of people."""
