#!/usr/bin/env bash
# A night of GPUs on Slurm. Beforehand, where the registry is:
#
#   compat plan --machine gpu-80=80GB -m gpu --jobs 8 -o plan.json
#   sbatch --array=0-7 docs/slurm.sh
#
# and afterwards: compat report reports/runs --plan plan.json
#
#SBATCH --job-name=compat
#SBATCH --gpus=1
#SBATCH --time=08:00:00
set -euo pipefail
compat run-shard --plan plan.json --compat-max-skips=5%
