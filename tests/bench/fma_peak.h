#pragma once
// What one core could do if it did nothing but multiply and add: the denominator of every
// "fraction of peak". Measured, since clocks and virtual machines keep no promises.

namespace reef::bench {

/// fp32 operations per second of one core with its widest fused multiply-add; takes about 20 ms.
/// Zero on a processor without one.
double fma_peak();

}  // namespace reef::bench
