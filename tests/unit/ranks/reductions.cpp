// Sums, maxima, arg-maxima and agreements of ranks: their definitions, their bits, their faults.
#include "ranks.hpp"

#include <limbeck/core/random.hpp>

#include <array>
#include <cmath>
#include <limits>

namespace {

namespace lk = limbeck;
using ranks::on_any_ranks;

/// What rank k brings.
template <class T>
std::vector<T> of_rank(int k, std::size_t n) {
  lk::random_stream random(17 + static_cast<std::uint64_t>(k));
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(std::ldexp(random.normal(), static_cast<int>(random.below(40)) - 20) * 1000);
  return x;
}

}  // namespace

TEST_CASE("A sum of ranks is taken in their order, whatever its length") {
  on_any_ranks([](const auto& comm) {
    for (const std::size_t n : {0u, 1u, 3u, 1023u, 1025u, 5000u}) {
      std::vector<double> sum = of_rank<double>(comm.rank(), n), expected = of_rank<double>(0, n);
      for (int k = 1; k < comm.size(); ++k) {
        const auto x = of_rank<double>(k, n);
        for (std::size_t i = 0; i < n; ++i) expected[i] += x[i];
      }
      lk::all_reduce_sum(comm, std::span<double>(sum));
      EXPECT_ON_RANK(sum == expected);
    }
    EXPECT_ON_RANK(lk::all_reduce_sum(comm, std::uint64_t{1} << comm.rank()) == (std::uint64_t{1} << comm.size()) - 1);
  });
}

TEST_CASE("A maximum of ranks, NaN where one is") {
  on_any_ranks([](const auto& comm) {
    std::vector<float> x = of_rank<float>(comm.rank(), 2000), expected = of_rank<float>(0, 2000);
    for (int k = 1; k < comm.size(); ++k)
      for (std::size_t i = 0; i < x.size(); ++i) expected[i] = (std::max)(expected[i], of_rank<float>(k, 2000)[i]);
    lk::all_reduce_max(comm, std::span<float>(x));
    EXPECT_ON_RANK(x == expected);
    for (int k = 0; k < comm.size(); ++k) {
      const double got = lk::all_reduce_max(comm, comm.rank() == k ? std::numeric_limits<double>::quiet_NaN() : 1.0);
      EXPECT_ON_RANK(got != got);
    }
    EXPECT_ON_RANK(lk::all_reduce_max(comm, -std::numeric_limits<double>::infinity()) == -std::numeric_limits<double>::infinity());
  });
}

TEST_CASE("The best proposal is the largest value, the lowest index among equals, and never NaN") {
  on_any_ranks([](const auto& comm) {
    const int last = comm.size() - 1;
    const auto highest = lk::all_reduce_arg_max(comm, static_cast<double>(comm.rank()), std::uint64_t{7});
    EXPECT_ON_RANK(highest.value == last && highest.rank == last && highest.index == 7);
    const auto equal = lk::all_reduce_arg_max(comm, 2.5f, static_cast<std::uint64_t>(100 - comm.rank()));
    EXPECT_ON_RANK(equal.rank == last && equal.index == static_cast<std::uint64_t>(100 - last));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto number = lk::all_reduce_arg_max(comm, comm.rank() == last ? -1.0 : nan, std::uint64_t{3});
    EXPECT_ON_RANK(number.value == -1 && number.rank == last);
  });
}

TEST_CASE("Shards say whose a row is, and ragged ranges are gathered") {
  on_any_ranks([](const auto& comm) {
    const auto count = [](int k) { return static_cast<std::size_t>(k == 1 ? 0 : 3 * k + 2); };  // rank 1 has none
    const lk::shards of(comm, count(comm.rank()));
    std::size_t first = 0;
    for (int k = 0; k < comm.size(); ++k) {
      EXPECT_ON_RANK(of.first_of(k) == first && of.count_of(k) == count(k));
      for (std::size_t i = first; i < first + count(k); ++i) EXPECT_ON_RANK(of.rank_of(i) == k && of.owns(i) == (k == comm.rank()));
      first += count(k);
    }
    EXPECT_ON_RANK(of.total() == first && of.ranks() == comm.size());
    const std::string fault = ranks::fault_of<lk::value_error>([&] { (void)of.rank_of(first); });
    EXPECT_ON_RANK(fault == "limbeck: number " + std::to_string(first) + " is asked of shards of " + std::to_string(first));

    std::vector<int> mine(of.count());
    for (std::size_t i = 0; i < mine.size(); ++i) mine[i] = static_cast<int>(of.first() + i);
    const auto all = lk::all_gather_ragged(comm, std::span<const int>(mine));
    for (std::size_t i = 0; i < first; ++i) EXPECT_ON_RANK(all.values[i] == static_cast<int>(i));

    const auto even = lk::shards::even(comm, 10);
    EXPECT_ON_RANK(even.total() == 10 && even.count() >= 10 / static_cast<std::size_t>(comm.size()));
  });
}

TEST_CASE("A fault of one rank is thrown on all, of its kind and with its words") {
  on_any_ranks([](const auto& comm) {
    const int guilty = comm.size() - 1;
    const std::string prefix =
        comm.size() == 1 ? "limbeck: " : "limbeck: rank " + std::to_string(guilty) + " of " + std::to_string(comm.size()) + ": ";
    const auto message = [&]<class Fault>(std::type_identity<Fault>) {
      return ranks::fault_of<Fault>([&] {
        (void)lk::agree(comm, [&] {
          if (comm.rank() == guilty) throw Fault("limbeck: it is Tuesday");
          return 1;
        });
      });
    };
    EXPECT_ON_RANK(message(std::type_identity<lk::value_error>{}) == prefix + "it is Tuesday");
    EXPECT_ON_RANK(message(std::type_identity<lk::shape_error>{}) == prefix + "it is Tuesday");
    EXPECT_ON_RANK(message(std::type_identity<std::runtime_error>{}) == prefix + "it is Tuesday");
    if (comm.size() > 1)  // whose words begin like a rank
      EXPECT_ON_RANK(ranks::fault_of<lk::value_error>([&] { lk::agree(comm, [] { throw lk::value_error("rank deficient"); }); }) ==
                     "limbeck: rank 0 of " + std::to_string(comm.size()) + ": rank deficient");
    EXPECT_ON_RANK(lk::agree(comm, [&] { return comm.rank(); }) == comm.rank());
    lk::agree(comm, [] {});
    if (comm.size() > 1)
      EXPECT_ON_RANK(ranks::fault_of<std::runtime_error>([&] { lk::agree(comm, [] { throw 3; }); }).ends_with("no std::exception was thrown"));
    // agreed on inside of what is agreed on: with one rank's name, and numbers that come along
    std::array<double, 2> numbers{};
    lk::agree_on_sum(comm, numbers, [&] { numbers = {1.0, static_cast<double>(comm.rank())}; });
    EXPECT_ON_RANK(numbers[0] == comm.size() && numbers[1] == comm.size() * (comm.size() - 1) / 2);
    const std::string nested = ranks::fault_of<lk::value_error>([&] {
      lk::agree(comm, [&] {
        lk::agree_on_sum(comm, numbers, [&] {
          if (comm.rank() == guilty) throw lk::value_error("limbeck: it is Tuesday");
        });
      });
    });
    EXPECT_ON_RANK(nested == prefix + "it is Tuesday");
  });
}

TEST_CASE("A counted communicator says what a rank sends, through a reference too") {
  on_any_ranks([](const auto& comm) {
    const lk::counted<std::remove_cvref_t<decltype(comm)>> counted(comm);
    const lk::communicator_ref ref(counted);
    const auto others = static_cast<std::size_t>(comm.size() - 1);
    (void)lk::all_gather(ref, std::uint64_t{1});
    EXPECT_ON_RANK(counted.calls() == 1 && counted.bytes() == 8 * others);
    std::vector<double> x(4000, 1.0);
    lk::all_reduce_sum(ref, std::span<double>(x));
    EXPECT_ON_RANK(x.back() == comm.size());
    if (comm.size() > 2) EXPECT_ON_RANK(counted.bytes() - 8 * others <= 2 * 8 * (4000 + 4));  // about twice, whatever the number
    std::string text = comm.rank() == 0 ? "zero" : "";
    lk::broadcast(ref, text, 0);
    EXPECT_ON_RANK(text == "zero");
  });
}
