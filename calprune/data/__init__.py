"""Ground that both halves share: conditions, sealed files, benchmarks. numpy and h5py only."""
