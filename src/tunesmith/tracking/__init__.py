"""What a run measures, told to TensorBoard, MLflow or W&B."""
