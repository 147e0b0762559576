// Averages over ranks: parameters in parts, of which each rank moves its own as one machine would; and soups of the ranks' models.
#include "map_archive.hpp"
#include "ranks.hpp"

#include <limbeck/averaging/arcee_fusion.hpp>
#include <limbeck/averaging/restore.hpp>
#include <limbeck/averaging/soup.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

namespace {

namespace lk = limbeck;
using ranks::on_any_ranks;
template <class T>
using network = std::vector<std::vector<T>>;

template <class T>
network<T> random_network(std::uint64_t seed, const std::vector<std::size_t>& sizes = {50, 1, 0, 301}) {
  lk::random_stream random(seed);
  network<T> n;
  for (const std::size_t s : sizes) {
    n.emplace_back(s);
    for (T& x : n.back()) x = static_cast<T>(static_cast<float>(random.normal()));
  }
  return n;
}
/// Where a rank's part of something begins. Rank 1 has none where there are three or more.
std::size_t begin_of(std::size_t total, int rank, int size) {
  if (size >= 3 && rank == 2) rank = 1;
  return total * static_cast<std::size_t>(rank * rank) / static_cast<std::size_t>(size * size);
}
/// A slice of each tensor, of some none.
template <class T>
network<T> part_of(const network<T>& whole, int rank, int size) {
  network<T> part;
  for (const auto& tensor : whole) {
    const auto at = [&](int k) { return tensor.begin() + static_cast<std::ptrdiff_t>(begin_of(tensor.size(), k, size)); };
    part.emplace_back(at(rank), at(rank + 1));
  }
  return part;
}
template <class T, class C>
bool all_bits_equal(const C& comm, const network<T>& x) {
  std::vector<T> flat;
  for (const auto& t : x) flat.insert(flat.end(), t.begin(), t.end());
  const std::vector<T> all = lk::all_gather(comm, std::span<const T>(flat));
  for (std::size_t i = 0; i < all.size(); ++i)
    if (std::memcmp(&all[i], &flat[i % flat.size()], sizeof(T)) != 0) return false;
  return true;
}

}  // namespace

TEST_CASE("A soup of ranks is weighted_sum of their models, bit for bit, on every rank") {
  on_any_ranks([](const auto& comm) {
    const auto check = [&]<class T>(T, const std::vector<std::size_t>& sizes, auto weight_of) {
      std::vector<network<T>> models;
      std::vector<double> shares;
      double total = 0;
      for (int k = 0; k < comm.size(); ++k) total += weight_of(k);
      for (int k = 0; k < comm.size(); ++k) {
        if (weight_of(k) == 0) continue;
        models.push_back(random_network<T>(10 + static_cast<std::uint64_t>(k), sizes));
        shares.push_back(weight_of(k) / total);
      }
      network<T> expected = random_network<T>(1, sizes), own = random_network<T>(10 + static_cast<std::uint64_t>(comm.rank()), sizes);
      if (weight_of(comm.rank()) == 0) own[0][0] = T(std::numeric_limits<float>::quiet_NaN());  // adds nothing
      lk::weighted_sum(models, shares, expected);
      lk::soup(comm, own, weight_of(comm.rank()));
      for (std::size_t t = 0; t < own.size(); ++t)
        EXPECT_ON_RANK(own[t].empty() || std::memcmp(own[t].data(), expected[t].data(), own[t].size() * sizeof(T)) == 0);
    };
    const auto one = [](int) { return 1.0; };
    const auto rows = [&](int k) { return k == 1 ? 0.0 : 100.0 + k; };  // FedAvg, and a rank that had none
    check(0.0f, {50, 1, 0, 301}, one);
    check(0.0, {50, 1, 0, 301}, rows);
    check(0.0f, {3, 200000, 7, 150000}, rows);  // several parts, across tensors
    check(lk::float16{}, {65, 3}, one);
    check(0.0f, {1}, rows);
  });
}

TEST_CASE("A soup that cannot be made is refused on all ranks, and nothing has moved") {
  on_any_ranks([](const auto& comm) {
    const bool last = comm.rank() == comm.size() - 1;
    const network<float> before = random_network<float>(3 + static_cast<std::uint64_t>(comm.rank()));
    network<float> own = before;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto told = [&](double weight) { return ranks::fault_of<lk::value_error>([&] { lk::soup(comm, own, weight); }); };
    const std::string who = std::to_string(comm.size() - 1);
    EXPECT_ON_RANK(told(last ? -1 : 1) == "limbeck: the weight of rank " + who + " is -1, expected a finite number that is not negative");
    EXPECT_ON_RANK(told(last ? nan : 1).starts_with("limbeck: the weight of rank " + who + " is nan"));
    EXPECT_ON_RANK(told(0) == "limbeck: the weights of all ranks sum to 0, expected a finite number above 0");
    if (comm.size() > 1) {
      const std::string guilty = "limbeck: rank " + who + " of " + std::to_string(comm.size()) + ": ";
      const auto shapes = [&](network<float> mine) { return ranks::fault_of<lk::shape_error>([&] { lk::soup(comm, mine); }); };
      EXPECT_ON_RANK(shapes(last ? network<float>{{1}} : own) == guilty + "1 tensors of parameters, expected 4 (as on rank 0)");
      EXPECT_ON_RANK(shapes(random_network<float>(1, {50, 1, last ? 1u : 0u, 301})) ==
                     guilty + "parameters tensor 2 has 1 elements, expected 0 (as on rank 0)");
    }
    EXPECT_ON_RANK(own == before);
  });
}

TEST_CASE("A greedy soup takes the models in the order of their scores and keeps those that do not harm") {
  on_any_ranks([](const auto& comm) {
    // The score is how close the first parameter is to 0: models at -2, 3, 40, 1, so that -2 and 3 are better together.
    const std::vector<float> places{3, 40, 1, -2};
    const auto mine = [&] { return network<float>{{places[static_cast<std::size_t>(comm.rank())], 7}, {}}; };
    network<float> model = mine();
    int asked = 0;
    const auto score_of = [](const network<float>& x) { return -std::fabs(static_cast<double>(x[0][0])); };
    const auto score = [&] {
      ++asked;
      EXPECT_ON_RANK(all_bits_equal(comm, model));
      return score_of(model);
    };
    const lk::greedy_choice found = lk::greedy_soup(comm, model, score_of(model), score);
    // what one machine does
    std::vector<int> order(static_cast<std::size_t>(comm.size())), in;
    std::iota(order.begin(), order.end(), 0);
    const auto place = [&](int k) { return static_cast<double>(places[static_cast<std::size_t>(k)]); };
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return std::fabs(place(a)) < std::fabs(place(b)); });
    double sum_of_them = 0, best = -1e9;
    for (const int k : order) {
      const double candidate = -std::fabs((sum_of_them + place(k)) / static_cast<double>(in.size() + 1));
      if (candidate >= best) in.push_back(k), sum_of_them += place(k), best = candidate;
    }
    EXPECT_ON_RANK(found.ranks == in && asked == comm.size() - 1);
    EXPECT_ON_RANK(std::fabs(found.score - best) < 1e-6 && std::fabs(model[0][0] - sum_of_them / static_cast<double>(in.size())) < 1e-6);
    EXPECT_ON_RANK(all_bits_equal(comm, model));

    model = mine();
    if (comm.size() == 1) return;
    const auto fault = ranks::fault_of<lk::value_error>([&] {
      (void)lk::greedy_soup(comm, model, score_of(model), [&]() -> double {
        if (comm.rank() == 1) lk::raise<lk::value_error>("limbeck: no rows to score by");
        return 0;
      });
    });
    EXPECT_ON_RANK(fault.ends_with("rank 1 of " + std::to_string(comm.size()) + ": no rows to score by") && model == mine());
    // scores that are no numbers come last and never win
    const double nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_ON_RANK(lk::greedy_soup(comm, model, comm.rank() == 0 ? nan : -comm.rank(), [&] { return nan; }).ranks == std::vector<int>{1});
  });
}

TEST_CASE("Averagers of parts are the averager of the whole in parts, through a checkpoint too") {
  on_any_ranks([](const auto& comm) {
    const auto part = [&]<class T>(const network<T>& whole) { return part_of(whole, comm.rank(), comm.size()); };
    const auto of_step = [](std::uint64_t step) { return random_network<float>(step, {50, 16, 0, 301}); };
    if (comm.size() >= 3 && comm.rank() == 1) return;  // an averager of nothing is none, and the others do not need this rank
    const lk::ema decay{.decay = 0.9};
    lk::averager whole(decay, of_step(0));
    auto own = std::make_unique<lk::averager<float, lk::ema>>(decay, part(of_step(0)));
    for (std::uint64_t step = 1; step < 20; ++step) {
      if (step == 9) {  // stopped, and resumed on as many ranks
        limbeck_test::map_archive archive;
        own->serialize(archive);
        own = std::make_unique<lk::averager<float, lk::ema>>(decay, part(of_step(99)));
        archive.loading = true;
        own->serialize(archive);
      }
      whole.update(of_step(step));
      own->update(part(of_step(step)));
    }
    EXPECT_ON_RANK(lk::snapshot(own->parameters()) == part(lk::snapshot(whole.parameters())));
  });
}

TEST_CASE("An update that one rank refuses moves nothing on any") {
  on_any_ranks([](const auto& comm) {
    std::vector<float> teacher{1, 2}, student{3, 4};
    lk::averager own(lk::ema{.decay = 0.5}, lk::in_place(teacher));
    own.update(student, comm);
    EXPECT_ON_RANK((teacher == std::vector<float>{2, 3}));
    if (comm.rank() == comm.size() - 1) student[1] = std::numeric_limits<float>::infinity();
    const std::string fault = ranks::fault_of<lk::value_error>([&] { own.update(student, lk::require_finite, comm); });
    EXPECT_ON_RANK(fault.find("parameter tensor 0 is inf at element 1") != std::string::npos);
    EXPECT_ON_RANK((teacher == std::vector<float>{2, 3}) && own.updates() == 1 && own.calls() == 1);
    student[1] = 4;
    own.update(student, comm, lk::require_finite);
    EXPECT_ON_RANK((teacher == std::vector<float>{2.5f, 3.5f}));
  });
}

TEST_CASE("Quantiles of restores and merges are those of all ranks' parameters: one machine's, exactly") {
  on_any_ranks([](const auto& comm) {
    const auto part = [&]<class T>(const network<T>& whole) { return part_of(whole, comm.rank(), comm.size()); };
    lk::workspace ws;
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      const auto gradients = random_network<float>(seed), source = random_network<float>(seed + 10);
      network<float> student = random_network<float>(seed + 20), own = part(student);
      for (const double fraction : {0.0, 0.03, 0.5, 1.0}) {
        EXPECT_ON_RANK(lk::fisher_quantile(comm, part(gradients), fraction, ws) == lk::fisher_quantile(gradients, fraction, ws));
        lk::fisher_restore{.quantile = fraction}(student, source, gradients, ws);
        lk::fisher_restore{.quantile = fraction}(comm, own, part(source), part(gradients), ws);
        EXPECT_ON_RANK(own == part(student));
      }
      // a tensor in rows: rank 1 has none
      const std::size_t rows = 12, columns = 7, n = rows * columns;
      const auto base = random_network<double>(seed + 30, {n})[0], other = random_network<double>(seed + 40, {n})[0];
      std::vector<double> merged(n), mine(n);
      const std::size_t begin = begin_of(rows, comm.rank(), comm.size()), count = begin_of(rows, comm.rank() + 1, comm.size()) - begin;
      const auto view = [&](auto& x, std::size_t from, std::size_t samples) {
        return lk::rows<std::remove_reference_t<decltype(x[0])>>(x.data() + from * columns, samples, columns);
      };
      for (const double whiskers : {0.0, 1.5}) {
        const lk::arcee_fusion merge{.whiskers = whiskers};
        merge(view(base, 0, rows), view(other, 0, rows), view(merged, 0, rows), ws);
        merge(comm, view(base, begin, count), view(other, begin, count), view(mine, begin, count), ws);
        EXPECT_ON_RANK(std::equal(mine.begin() + static_cast<std::ptrdiff_t>(begin * columns),
                                  mine.begin() + static_cast<std::ptrdiff_t>((begin + count) * columns),
                                  merged.begin() + static_cast<std::ptrdiff_t>(begin * columns)));
      }
    }
    const network<float> broken{{comm.rank() == comm.size() - 1 ? std::numeric_limits<float>::quiet_NaN() : 1}};
    EXPECT_ON_RANK(ranks::fault_of<lk::value_error>([&] { (void)lk::fisher_quantile(comm, broken, 0.5, ws); })
                       .ends_with("gradient tensor 0 is nan at element 0"));
    EXPECT_ON_RANK(ranks::fault_of<lk::shape_error>([&] { (void)lk::fisher_quantile(comm, network<float>{}, 0.5, ws); }) ==
                   "limbeck: the gradients hold no element");
    if (comm.size() > 1) {  // rows of another length on the last rank
      std::vector<double> x(12, 1.0);
      const std::size_t columns = comm.rank() == comm.size() - 1 ? 4 : 3;
      const lk::rows<double> rows(x.data(), 3, columns);
      EXPECT_ON_RANK(ranks::fault_of<lk::shape_error>([&] { lk::arcee_fusion{}(comm, rows, rows, rows, ws); }) ==
                     "limbeck: rank 0 of " + std::to_string(comm.size()) +
                         ": base has 3 columns, and 4 on another rank; ranks have whole rows of one tensor");
    }
    // one rank's source is too short: nobody's parameters move
    network<float> kept{{1, 2, 3}}, source{{0, 0, 0}};
    const lk::fisher_restore restore{.quantile = 0.9};
    if (comm.rank() == comm.size() - 1) source[0].pop_back();
    EXPECT_ON_RANK(ranks::fault_of<lk::shape_error>([&] { restore(comm, kept, source, network<float>{{1, 2, 3}}, ws); })
                       .ends_with("source tensor 0 has 2 elements, expected 3 (as the parameters)"));
    EXPECT_ON_RANK(kept == network<float>{{1, 2, 3}});
  });
}
