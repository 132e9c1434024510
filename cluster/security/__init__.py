"""Who may ask what of the API, and by which tokens it knows them."""
