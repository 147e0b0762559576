#ifndef LIMBECK_FEW_STEP_REGRESSION_HPP
#define LIMBECK_FEW_STEP_REGRESSION_HPP

// Students that regress: on what the teacher does in two steps, on what they say themselves a little further down its path. Each is a
// trainer over noised data with another teacher.

#include "lab.hpp"

#include <vector>

namespace few_step {

/// Salimans and Ho (2022): 16 steps become 8, 4, 2 and 1, each the teacher of the next. The last three, as samplers along the flow.
std::vector<denoiser> progressive(const lesson& l);

/// Song et al. (2023): neighbours on the teacher's path have one end; the target is the student's average.
denoiser consistency(const lesson& l);

/// Lu and Song (2024): the same in the limit, by the derivative along the path.
denoiser continuous_consistency(const lesson& l);

}  // namespace few_step

#endif
