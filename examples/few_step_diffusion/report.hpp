#ifndef LIMBECK_FEW_STEP_REPORT_HPP
#define LIMBECK_FEW_STEP_REPORT_HPP

// What is measured of samples, and what is drawn of them.

#include "lab.hpp"

#include <limbeck/diffusion/gaussian_mixture.hpp>

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace few_step {

/// Eight Gaussians on a circle, each dimension of all with deviation 1.
const lk::gaussian_mixture& eight_gaussians();
task gaussian_task(std::uint64_t seed);
/// Digits less their mean grey, divided by their deviation.
task digit_task(const std::filesystem::path& data);

/// Of a set of samples; what a task has not is left at 0.
struct marks {
  double energy = 0;    // distance to data that nobody has learned from (of digits: to the data)
  double modes = 0;     // of eight, with a hundredth of the samples within three deviations
  double near = 0;      // percent of the samples within three deviations of a mode
  double accuracy = 0;  // percent that the classifier takes for the class that was asked for
  template <class Archive>
  void serialize(Archive& archive) {
    archive("energy", energy);
    archive("modes", modes);
    archive("near", near);
    archive("accuracy", accuracy);
  }
};
/// @p against are samples to measure the distance to; @p judge is the classifier of a task with classes.
marks measure(const task& of, const matrix& samples, const std::vector<int>& classes, const matrix& against, mlp* judge);

/// A picture a row of samplers: where samples of the Gaussians lie, and the ways that some took there.
void draw_gaussians(const std::filesystem::path& to, const std::vector<std::vector<matrix>>& samples);
void draw_ways(const std::filesystem::path& to, const std::vector<std::vector<matrix>>& ways);
/// A row of digits, 0 to 9 twice, a sampler.
void draw_digits(const std::filesystem::path& to, const task& of, const std::vector<matrix>& samples);

}  // namespace few_step

#endif
