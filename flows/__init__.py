"""When and where stages run: Prefect around `dvc repro`, and nothing else."""
