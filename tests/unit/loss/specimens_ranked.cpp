#include "make_specimen.hpp"

std::vector<limbeck_test::specimen> limbeck_test::ranked_specimens() {
  using limbeck::lead;
  return {
      make_specimen("uld", {}, true, limbeck::uld{}, ref_uld(), false, true, false),
      make_specimen("adaptive_kl", {0.5}, true, limbeck::adaptive_kl{}, ref_adaptive_kl(0.5L), false, true, false),
      make_specimen("bild", {8}, true, limbeck::bild{}, ref_bild(8, 'b', ref_forward_kl()), false, true, false),
      make_specimen("bild", {30, 1}, true, limbeck::bild{.k = 30, .leader = lead::student, .knee = true},
                    ref_bild(30, 's', ref_forward_kl(), true), false, true, false),
      make_specimen("reranked", {10}, false, limbeck::reranked{}, ref_reranked(10, false), false, true, false),
      make_specimen("reranked", {4, 1}, false, limbeck::reranked{.k = 4, .prefix = true}, ref_reranked(4, true), false, true, false),
  };
}
