#ifndef LIMBECK_FEW_STEP_TEACHER_HPP
#define LIMBECK_FEW_STEP_TEACHER_HPP

// The teacher, and the classifier that judges generated digits.

#include "lab.hpp"

#include <filesystem>

namespace few_step {

/// A denoiser of many steps: flow matching of the data by the trainer; what comes back is the average of its parameters. With a
/// checkpoint's name the run goes on where it stood.
denoiser train_teacher(const task& of, int updates, int batch, std::uint64_t seed, const std::filesystem::path& checkpoint);

/// Of rows as the task has them.
mlp train_classifier(const task& of, int epochs, std::uint64_t seed);

}  // namespace few_step

#endif
