"""What is learned: recipes, adapters, training and the engines that serve them. Imports db, never gradio."""
