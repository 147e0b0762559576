#ifndef LIMBECK_AVERAGING_AVERAGING_HPP
#define LIMBECK_AVERAGING_AVERAGING_HPP

/// @file
/// Averagers, decays, restores, merges and soups.

#include <limbeck/averaging/arcee_fusion.hpp>
#include <limbeck/averaging/averager.hpp>
#include <limbeck/averaging/decay.hpp>
#include <limbeck/averaging/power_ema.hpp>
#include <limbeck/averaging/restore.hpp>
#include <limbeck/averaging/soup.hpp>
#include <limbeck/averaging/weighted_sum.hpp>

#endif
