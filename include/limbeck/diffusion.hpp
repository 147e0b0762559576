#ifndef LIMBECK_DIFFUSION_HPP
#define LIMBECK_DIFFUSION_HPP

/// @file
/// Diffusion and flow: noise, predictions, and the objectives of few-step students. Needs no tensor library.

#include <limbeck/diffusion/concrete_score.hpp>
#include <limbeck/diffusion/density_ratio.hpp>
#include <limbeck/diffusion/distribution_matching.hpp>
#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/learned_sampler.hpp>
#include <limbeck/diffusion/masking.hpp>
#include <limbeck/diffusion/path.hpp>
#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/diffusion/tilted.hpp>
#include <limbeck/diffusion/unmask.hpp>
#include <limbeck/diffusion/unmasking_policy.hpp>
#include <limbeck/loss/critics/critic_hinge.hpp>
#include <limbeck/loss/critics/critic_least_squares.hpp>
#include <limbeck/loss/critics/critic_logistic.hpp>
#include <limbeck/loss/critics/critic_role.hpp>
#include <limbeck/loss/critics/critic_wasserstein.hpp>
#include <limbeck/loss/critics/gradient_penalty.hpp>
#include <limbeck/loss/critics/reversed.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>

#endif
