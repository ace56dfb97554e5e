#pragma once
// Which of the instruction sets that kernels are compiled for this processor has; every one has
// x86-64-v2.

namespace reef::ops::cpu {

bool has_instruction_set_v3();
bool has_instruction_set_v4();

}  // namespace reef::ops::cpu
