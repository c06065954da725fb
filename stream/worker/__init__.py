"""The worker's logic: one owner a partition, over a log of records; no Faust, no network, no clock of its own."""
