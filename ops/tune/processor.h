#pragma once
// The processor under which a measurement is kept: a home folder may be shared by unlike machines.

#include <string>

namespace reef::ops::tune {

/// "AMD EPYC 7R13 Processor; avx2 fma; atoll 0.1.0": its name, the instruction sets that our
/// kernels ask for, and the version of the kernels.
std::string processor_text();

}  // namespace reef::ops::tune
