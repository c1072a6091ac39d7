"""Training of the latent diffusion engine: an autoencoder of real CTs, then a denoiser taught by painted tumours."""
