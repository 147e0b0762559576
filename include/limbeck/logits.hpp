#ifndef LIMBECK_LOGITS_HPP
#define LIMBECK_LOGITS_HPP

/// @file
/// Losses on logits, and what composes and weighs them: objectives, schedules, temperatures, signals. Needs no tensor library.

#include <limbeck/core/random.hpp>
#include <limbeck/loss/logits/adaptive_kl.hpp>
#include <limbeck/loss/logits/alpha_beta.hpp>
#include <limbeck/loss/logits/atkd.hpp>
#include <limbeck/loss/logits/bce_with_logits.hpp>
#include <limbeck/loss/logits/bernoulli.hpp>
#include <limbeck/loss/logits/bild.hpp>
#include <limbeck/loss/logits/cross_entropy.hpp>
#include <limbeck/loss/logits/decoupled.hpp>
#include <limbeck/loss/logits/kl.hpp>
#include <limbeck/loss/logits/label_pairs.hpp>
#include <limbeck/loss/logits/margin_mse.hpp>
#include <limbeck/loss/logits/mixture_divergences.hpp>
#include <limbeck/loss/logits/mse.hpp>
#include <limbeck/loss/logits/ofa.hpp>
#include <limbeck/loss/logits/other_divergences.hpp>
#include <limbeck/loss/logits/plackett_luce.hpp>
#include <limbeck/loss/logits/reranked.hpp>
#include <limbeck/loss/logits/reverse_cross_entropy.hpp>
#include <limbeck/loss/logits/squared_probabilities.hpp>
#include <limbeck/loss/logits/student_entropy.hpp>
#include <limbeck/loss/logits/uld.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/schedule/schedules.hpp>
#include <limbeck/signal/ensemble.hpp>
#include <limbeck/signal/measure.hpp>
#include <limbeck/temperature/inverse_difficulty.hpp>
#include <limbeck/temperature/standardized.hpp>
#include <limbeck/temperature/temperature.hpp>

#endif
