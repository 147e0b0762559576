#ifndef LIMBECK_TRAINER_HPP
#define LIMBECK_TRAINER_HPP

/// @file
/// The trainer, its callbacks, the drivers of several trainings, and checkpoints. A component of its own: it needs
/// nlohmann's JSON and Boost.Timer, and CMake's target `limbeck::trainer`.

#include <limbeck/driver.hpp>
#include <limbeck/trainer/adaptive_share.hpp>
#include <limbeck/trainer/averaging.hpp>
#include <limbeck/trainer/checkpoint.hpp>
#include <limbeck/trainer/contrast.hpp>
#include <limbeck/trainer/csv_metrics.hpp>
#include <limbeck/trainer/denoising_data.hpp>
#include <limbeck/trainer/drawn.hpp>
#include <limbeck/trainer/early_stopping.hpp>
#include <limbeck/trainer/mutual.hpp>
#include <limbeck/trainer/noise_data.hpp>
#include <limbeck/trainer/on_policy.hpp>
#include <limbeck/trainer/progress_bar.hpp>
#include <limbeck/trainer/prompted_data.hpp>
#include <limbeck/trainer/replay.hpp>
#include <limbeck/trainer/trainer.hpp>
#include <limbeck/trainer/two_contexts.hpp>
#include <limbeck/trainer/validation.hpp>
#include <limbeck/trainer/watch.hpp>
#include <limbeck/trainer/writers.hpp>

#endif
