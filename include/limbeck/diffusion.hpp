#ifndef LIMBECK_DIFFUSION_HPP
#define LIMBECK_DIFFUSION_HPP

/// @file
/// Diffusion and flow: noise, predictions, and the objectives of few-step students. Needs no tensor library.

#include <limbeck/diffusion/bootstrap.hpp>
#include <limbeck/diffusion/consistency.hpp>
#include <limbeck/diffusion/continuous_consistency.hpp>
#include <limbeck/diffusion/density_ratio.hpp>
#include <limbeck/diffusion/distribution_matching.hpp>
#include <limbeck/diffusion/draw_noise.hpp>
#include <limbeck/diffusion/f_weights.hpp>
#include <limbeck/diffusion/few_step_rollout.hpp>
#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/known_pair.hpp>
#include <limbeck/diffusion/matching_teacher.hpp>
#include <limbeck/diffusion/measures.hpp>
#include <limbeck/diffusion/noise_table.hpp>
#include <limbeck/diffusion/on_path.hpp>
#include <limbeck/diffusion/path.hpp>
#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/diffusion/progressive.hpp>
#include <limbeck/diffusion/ratio_bins.hpp>
#include <limbeck/diffusion/score_identity.hpp>
#include <limbeck/diffusion/steps.hpp>
#include <limbeck/diffusion/teacher_segment.hpp>
#include <limbeck/diffusion/time_at.hpp>
#include <limbeck/diffusion/time_grid.hpp>
#include <limbeck/diffusion/times.hpp>
#include <limbeck/diffusion/twin_flow.hpp>
#include <limbeck/loss/critics/critic_hinge.hpp>
#include <limbeck/loss/critics/critic_least_squares.hpp>
#include <limbeck/loss/critics/critic_logistic.hpp>
#include <limbeck/loss/critics/critic_role.hpp>
#include <limbeck/loss/critics/critic_wasserstein.hpp>
#include <limbeck/loss/critics/gradient_penalty.hpp>
#include <limbeck/loss/critics/reversed.hpp>
#include <limbeck/loss/features/pseudo_huber.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>

#endif
