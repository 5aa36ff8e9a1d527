//! What only the cluster store promises. What every store promises is in `store/conformance`.
