module gorust.dev/benches

go 1.25
