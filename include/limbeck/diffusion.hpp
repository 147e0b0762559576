#ifndef LIMBECK_DIFFUSION_HPP
#define LIMBECK_DIFFUSION_HPP

/// @file
/// Diffusion and flow: noise, predictions, and the objectives of few-step students. Needs no tensor library.

#include <limbeck/diffusion/distribution_matching.hpp>
#include <limbeck/diffusion/draw_noise.hpp>
#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/guidance_embedding.hpp>
#include <limbeck/diffusion/guided.hpp>
#include <limbeck/diffusion/noise_table.hpp>
#include <limbeck/diffusion/on_path.hpp>
#include <limbeck/diffusion/path.hpp>
#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/diffusion/reverse_process.hpp>
#include <limbeck/diffusion/steps.hpp>
#include <limbeck/diffusion/time_at.hpp>
#include <limbeck/diffusion/time_grid.hpp>
#include <limbeck/diffusion/times.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>

#endif
