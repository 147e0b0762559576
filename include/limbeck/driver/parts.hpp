#ifndef LIMBECK_DRIVER_PARTS_HPP
#define LIMBECK_DRIVER_PARTS_HPP

/// @file
/// One training a part of the conditions.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/file.hpp>
#include <limbeck/trainer/interruptible.hpp>
#include <limbeck/trainer/training_run.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Trains the student of each part, in turn: `train(part, checkpoint)` is a `fit` or an `alternating` with that checkpoint and returns its
/// `training_result`. With a @p folder, part k is saved there as `part-k.ckpt`, and a program that is started again goes on where it was: a
/// finished part only restores what it left behind. With an empty path nothing is saved. A signal ends the run within a part, whose result says
/// so, or behind it: then there are fewer results than parts. Parts know nothing of each other: other processes may train some of them.
/// @param folder of the checkpoints; empty: nothing is saved
/// @param train the callable
/// @param parts how many, at least 1: `condition_partition::size`
/// @throws value_error where parts is 0, file_error where the folder cannot be made; and what `train` throws.
template <class Train>
std::vector<training_result> train_parts(const std::filesystem::path& folder, std::size_t parts, Train&& train) {
  detail::require_positive("parts", parts);
  if (!folder.empty()) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed) raise<file_error>("limbeck: cannot make the folder '" + folder.string() + "': " + failed.message());
  }
  std::optional<interruptible> stop;  // a signal in the last step of a part is nobody else's
  if (!folder.empty()) stop.emplace();
  std::vector<training_result> results;
  for (std::size_t k = 0; k < parts && (k == 0 || !(results.back().interrupted || (stop && stop->requested()))); ++k)
    results.push_back(train(k, folder.empty() ? folder : folder / ("part-" + std::to_string(k) + ".ckpt")));
  return results;
}

LIMBECK_END_NAMESPACE

#endif
