"""The latent diffusion engine (after DiffTumor, CVPR 2024): `open_diffusion` reads weights and gives the engine."""
