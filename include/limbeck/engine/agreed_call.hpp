#ifndef LIMBECK_ENGINE_AGREED_CALL_HPP
#define LIMBECK_ENGINE_AGREED_CALL_HPP

/// @file
/// What the ranks of a call agree on before anything of its rows travels.

#include <limbeck/engine/problem.hpp>
#include <limbeck/ranks/reductions.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// What is the same on all ranks of a call, as a rank shows it to the others.
struct call_of_ranks {
  std::uint64_t counted = 0, samples = 0, rows = 0, settings = 0, block_rows = 0, message = 0, hidden = 0;
  double normalizer = 0;
};

/// Not inlined: g++ 12 warns of what it makes of a known text.
[[noreturn, gnu::noinline]] inline void throw_unlike(const char* what, const std::string& how) {
  raise<shape_error>("limbeck: classes_over: " + std::string(what) + " " + how +
                     "; rows, labels, weights, settings and the reduction are the same on all ranks");
}

/// The ranks agree that the arguments of a call are right, and the same. Before anything of its rows travels.
template <class T>
void open_ranks(const class_ranks<T>& over, const call_of_ranks& mine, noted_fault fault = {}) {
  if (over.opened) return;
  over.opened = true;
  agree_on(*over.comm, fault.kind, std::move(fault.what));
  const std::vector<call_of_ranks> all = all_gather(*over.comm, mine);
  for (std::size_t k = 1; k < all.size(); ++k) {
    const auto differ = [&](const char* what, auto a, auto b) {
      if (a != b)
        throw_unlike(what, show(static_cast<double>(a)) + " on rank 0 and " + show(static_cast<double>(b)) + " on rank " +
                               std::to_string(k));
    };
    const auto unlike = [&](const char* what, std::uint64_t a, std::uint64_t b) {
      if (a != b) throw_unlike(what, "on rank 0 and rank " + std::to_string(k) + " are not the same");
    };
    differ("rows that count are", all[0].counted, all[k].counted);
    differ("rows are", all[0].samples, all[k].samples);
    unlike("labels, weights or temperatures of rows", all[0].rows, all[k].rows);
    unlike("weights or temperatures of losses", all[0].settings, all[k].settings);
    differ("the reduction's factor is", all[0].normalizer, all[k].normalizer);
    differ("block_rows is", all[0].block_rows, all[k].block_rows);
    unlike("the calls", all[0].message, all[k].message);
    if (all[0].hidden != all[k].hidden)
      raise<shape_error>("limbeck: classes_over: rank " + std::to_string(all[0].hidden ? std::size_t{0} : k) +
                         " asks for the gradient of the hidden states and rank " + std::to_string(all[0].hidden ? k : std::size_t{0}) +
                         " does not; it is a sum over all ranks, asked for on all or on none");
  }
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
