"""The JAX twin: the same losses, differentiated by `jax.grad`. The only place that imports jax."""
