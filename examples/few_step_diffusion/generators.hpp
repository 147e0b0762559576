#ifndef LIMBECK_FEW_STEP_GENERATORS_HPP
#define LIMBECK_FEW_STEP_GENERATORS_HPP

// Students that are generators: their samples, noised, are held against the data's by two denoisers, the teacher and one that learns
// the samples in turn.

#include "lab.hpp"

namespace few_step {

/// Yin et al. (2024), DMD2 without its GAN: five steps of the fake score for one of the generator.
denoiser distribution_matching(const lesson& l, int steps);

/// Xu et al. (2025), f-distill with the Jensen-Shannon divergence: a critic's ratio of densities weighs the rows.
denoiser f_distill(const lesson& l, int steps);

/// Zhou et al. (2024), SiD: gradients flow through both denoisers, too.
denoiser score_identity(const lesson& l, int steps);

}  // namespace few_step

#endif
