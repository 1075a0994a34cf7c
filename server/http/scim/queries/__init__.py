"""What clients ask for: filters, pages, and which attributes come back."""
