"""Drop-in layers and the rewriting of networks with them."""
