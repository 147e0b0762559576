#ifndef LIMBECK_DRIVER_STAGES_HPP
#define LIMBECK_DRIVER_STAGES_HPP

/// @file
/// Trainings one after the other: hints first, then logits; a frozen body, then all of it; clean data, then hard data.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/file.hpp>
#include <limbeck/trainer/training_run.hpp>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What `stage` returns.
template <class Train>
struct training_stage {
  std::string name;  ///< of its checkpoint
  Train train;       ///< a callable of the checkpoint's path
};
/// A stage: `train(checkpoint)` is a `fit` with that checkpoint and returns its `training_result`. It says with what:
/// its own objective, data and optimiser (`only(optimizer, tensors)` freezes the others) on the student that all share.
template <class Train>
training_stage<Train> stage(std::string name, Train train) {
  return {std::move(name), std::move(train)};
}

/// What a stage came to.
struct stage_result {
  std::string name{};        ///< of the stage
  training_result result{};  ///< what its `fit` returned
};

/// Runs the stages in their order. With a @p folder, stage i is saved there as `i-name.ckpt`, and a program that is
/// started again goes on where it was: a finished stage only restores what it left behind. With an empty path nothing
/// is saved. A signal ends the run within a stage, whose result says so and is the last.
/// @throws value_error where two stages have one name; file_error where the folder cannot be made; and what the stages
/// throw.
template <class... Train>
std::vector<stage_result> run_stages(const std::filesystem::path& folder, const training_stage<Train>&... all) {
  const std::vector<std::string> names{all.name...};
  for (std::size_t i = 0; i < names.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (names[i] == names[j]) raise<value_error>("limbeck: two stages have the name " + names[i]);
  if (!folder.empty()) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed) raise<file_error>("limbeck: cannot make the folder '" + folder.string() + "': " + failed.message());
  }
  std::vector<stage_result> results;
  const auto one = [&](const auto& s) {
    if (!results.empty() && results.back().result.interrupted) return;
    const std::string file = std::to_string(results.size() + 1) + '-' + s.name + ".ckpt";
    results.push_back({s.name, s.train(folder.empty() ? folder : folder / file)});
  };
  (one(all), ...);
  return results;
}

LIMBECK_END_NAMESPACE

#endif
