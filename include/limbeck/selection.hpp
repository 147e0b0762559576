#ifndef LIMBECK_SELECTION_HPP
#define LIMBECK_SELECTION_HPP

/// @file
/// Which rows to label, to keep and to learn from. Needs no tensor library.

#include <limbeck/selection/badge.hpp>
#include <limbeck/selection/by_score.hpp>
#include <limbeck/selection/cema.hpp>
#include <limbeck/selection/class_balanced.hpp>
#include <limbeck/selection/clue.hpp>
#include <limbeck/selection/coverage.hpp>
#include <limbeck/selection/dual_thresholds.hpp>
#include <limbeck/selection/facility_location.hpp>
#include <limbeck/selection/herding.hpp>
#include <limbeck/selection/k_center.hpp>
#include <limbeck/selection/k_means.hpp>
#include <limbeck/selection/k_means_plus_plus.hpp>
#include <limbeck/selection/mixture.hpp>
#include <limbeck/selection/pcoreset.hpp>
#include <limbeck/selection/pseudo_labels.hpp>
#include <limbeck/selection/quantile.hpp>
#include <limbeck/selection/query.hpp>
#include <limbeck/selection/random_rows.hpp>
#include <limbeck/selection/ranking.hpp>
#include <limbeck/selection/reference_gap.hpp>
#include <limbeck/selection/repeated_random_subsets.hpp>
#include <limbeck/selection/robust_active.hpp>
#include <limbeck/selection/top_k.hpp>
#include <limbeck/selection/top_per_class.hpp>
#include <limbeck/selection/top_share.hpp>
#include <limbeck/selection/typiclust.hpp>
#include <limbeck/selection/without_outliers.hpp>

#endif
