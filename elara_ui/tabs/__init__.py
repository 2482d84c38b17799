"""One file a tab. Each builds its components, wires events to services and renders what comes back."""
