#ifndef LIMBECK_BACKEND_THRUST_ROW_HPP
#define LIMBECK_BACKEND_THRUST_ROW_HPP

/// @file
/// One row on a device, and the sums over all rows: written once over a team of threads.
///
/// The functions of a class are those of `engine/row.hpp`. Nothing of a row is kept but its gradient: the exponentials are
/// taken again in each step, since memory is what a device waits for.

#include <limbeck/backend/thrust/team.hpp>
#include <limbeck/backend/thrust/workspace.hpp>
#include <limbeck/engine/signals.hpp>

#if !LIMBECK_ON_CUDA
#include <atomic>
#endif

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// One class of one row, in registers.
template <class T>
struct device_position {
  using X = pack<scalar_lanes<T>>;
  static constexpr T nothing = -std::numeric_limits<T>::infinity();
  T student, teacher, soft;
  bool in_mask;   // of the domain `masked`
  bool is_label;
  bool within;    // not padding
  std::size_t class_count;

  template <class Who, class Domain>
  LIMBECK_INLINE X raw_logit() const {
    bool outside = !within;
    if constexpr (std::is_same_v<Domain, masked>) outside = outside || !in_mask;
    if constexpr (std::is_same_v<Domain, non_target>) outside = outside || is_label;
    return X(outside ? nothing : std::is_same_v<Who, student_side> ? student : teacher);
  }
  LIMBECK_INLINE X soft_label() const { return X(soft); }
  LIMBECK_INLINE X inside(const X& x) const { return within ? x : X(T(0)); }
  template <class Y>
  LIMBECK_INLINE Y classes() const {
    return Y(static_cast<T>(class_count));
  }
};

/// Whether a term needs the mean of the student's logits, whatever its settings.
template <class Mode, class Plan>
struct plan_wants_mean;
template <class Mode, class... Term>
struct plan_wants_mean<Mode, plan<Term...>> {
  template <class L>
  static constexpr bool one = requires(const L& l) { l.wants_mean(); } && !per_class<Mode, L>;
  static constexpr bool value = (one<typename Term::loss_type> || ...);
};

/// How many entries are sums, or how many are peaks.
template <class Sums, bool Peaks>
constexpr std::size_t active_sums() {
  std::size_t n = 0;
  for_each_index<Sums::size>([&](auto k) {
    if (Sums::template active<k> && is_peak<Sums, k>() == Peaks) ++n;
  });
  return n;
}

/// The lowest row with a fault; which thread finds one first is chance, the lowest row is not.
struct device_faults {
  static constexpr unsigned long long codes = 16;
  LIMBECK_DEVICE static void report(device_outcome* out, std::size_t r, fault code) {
    const unsigned long long mine = ~(static_cast<unsigned long long>(r) * codes + static_cast<unsigned long long>(code));
#if LIMBECK_ON_CUDA
    atomicMax(&out->fault, mine);
#else
    std::atomic_ref<unsigned long long> highest(out->fault);
    unsigned long long seen = highest.load();
    while (mine > seen && !highest.compare_exchange_weak(seen, mine)) {
    }
#endif
  }
};

/// All that the device needs for one call, copied to it by value.
template <class T, class Terms, class Mode>
struct device_task {
  using X = pack<scalar_lanes<T>>;
  using Plan = typename plan_of<Terms>::type;
  using Numbers = row_numbers<T, Plan>;
  using position = device_position<T>;
  static constexpr std::size_t NM = Plan::maxima::size;
  static constexpr std::size_t NS = Plan::softmaxes::size;
  static constexpr std::size_t NP = Plan::pairs::size;
  static constexpr bool sees_student = Plan::template has_softmax<student_side>();
  static constexpr bool sees_teacher = !Plan::teacher || Plan::template has_softmax<teacher_side>();
  static constexpr std::size_t learned = Plan::learned;
  static constexpr bool classwise = plan_has_classes<Mode, Plan>::value;
  static constexpr T infinity = std::numeric_limits<T>::infinity();
  /// Whether a class that one side alone masks can make the value infinite.
  static constexpr bool compares = NP > 0 || Plan::template any<logitwise> || Mode::soft_labels;

  problem<T> in;  // with a normaliser of 1
  Terms terms;
  Numbers batch{};                                    // what no row changes, for a row of weight 1 and a normaliser of 1
  bool diverges_student[at_least_one(Plan::size)]{};  // where a class is masked on this side alone, the term is infinite
  bool diverges_teacher[at_least_one(Plan::size)]{};
  bool wants_mean = false;
  bool weigh = false;              // the normaliser is on the device, else it is
  double over_weight = 1;
  bool whole_loads = false;        // every row starts at 16 bytes, its classes are neighbours
  double* values = nullptr;        // one a row
  double* temperatures = nullptr;  // learned, one a row each
  device_outcome* out = nullptr;

  // --- reading and writing -----------------------------------------------------------------------------------------

  template <std::size_t W>
  struct alignas(W * sizeof(T)) block {
    T v[W];
  };

  template <std::size_t W>
  LIMBECK_DEVICE block<W> load(const T* row, std::ptrdiff_t stride, std::size_t c) const {
    if constexpr (W > 1) {
      if (whole_loads && c + W <= in.classes()) return *reinterpret_cast<const block<W>*>(row + c);
    }
    block<W> b;
    for (std::size_t j = 0; j < W; ++j)
      b.v[j] = c + j < in.classes() ? row[static_cast<std::ptrdiff_t>(c + j) * stride] : T(0);
    return b;
  }
  template <std::size_t W>
  LIMBECK_DEVICE void store(T* row, std::ptrdiff_t stride, std::size_t c, const block<W>& b) const {
    if constexpr (W > 1) {
      if (whole_loads && c + W <= in.classes()) {
        *reinterpret_cast<block<W>*>(row + c) = b;
        return;
      }
    }
    for (std::size_t j = 0; j < W; ++j)
      if (c + j < in.classes()) row[static_cast<std::ptrdiff_t>(c + j) * stride] = b.v[j];
  }

  /// body(position, j-th gradient of this thread's block) for every class of the team's threads, in steps of a block;
  /// between(c) after each step.
  template <bool ReadGradient, bool WriteGradient, class Team, class Body>
  LIMBECK_DEVICE void each_class(const Team& team, std::size_t r, std::int64_t label, Body&& body) const {
    constexpr std::size_t W = Team::template width<T>;
    const std::size_t classes = in.classes();
    for (std::size_t c = team.rank() * W; c < classes; c += team.size() * W) {
      const block<W> s = load<W>(in.student.row(r), in.student.class_stride, c);
      block<W> t, y, g;
      if constexpr (Plan::teacher) t = load<W>(in.teacher.row(r), in.teacher.class_stride, c);
      if constexpr (Mode::soft_labels) y = load<W>(in.soft_labels.row(r), in.soft_labels.class_stride, c);
      if constexpr (ReadGradient) g = load<W>(in.gradient.row(r), in.gradient.class_stride, c);
      if constexpr (WriteGradient && !ReadGradient) {  // what the flows and the softmaxes are added to
        g = block<W>{};
        if (in.add) g = load<W>(in.gradient.row(r), in.gradient.class_stride, c);
      }
      for (std::size_t j = 0; j < W; ++j) {
        position at;
        at.student = s.v[j];
        at.teacher = at.soft = T(0);
        if constexpr (Plan::teacher) at.teacher = t.v[j];
        if constexpr (Mode::soft_labels) at.soft = y.v[j];
        at.within = W == 1 || c + j < classes;
        at.is_label = static_cast<std::int64_t>(c + j) == label;
        at.in_mask = true;
        if constexpr (Plan::template uses_domain<masked>) at.in_mask = at.within && in.class_mask.number(c + j) != 0;
        at.class_count = classes;
        T unused(0);
        body(at, ReadGradient || WriteGradient ? g.v[j] : unused);
      }
      if constexpr (WriteGradient) store<W>(in.gradient.row(r), in.gradient.class_stride, c, g);
    }
  }

  /// Sums over the row. A thread alone merges its sums every 256 classes: the rounding error of a long row then grows
  /// with the number of merges, not with that of classes.
  template <class From, class To, bool WriteGradient, class Team, class Body>
  LIMBECK_DEVICE To sum_classes(Team& team, std::size_t r, std::int64_t label, Body&& body) const {
    From total, partial;
    for_each_index<From::size>([&](auto k) { total.sum[k] = partial.sum[k] = X(T(0)); });
    [[maybe_unused]] unsigned pause = 0;
    each_class<false, WriteGradient>(team, r, label, [&](const position& at, T& g) {
      if constexpr (Team::alone) {
        body(at, g, partial);
        if (++pause % 256 == 0) {
          for_each_index<From::size>([&](auto k) {
            merge<From, k>(total, partial);
            partial.sum[k] = X(T(0));
          });
        }
      } else {
        body(at, g, total);
      }
    });
    if constexpr (Team::alone) for_each_index<From::size>([&](auto k) { merge<From, k>(total, partial); });
    To result{};
    reduce<false, From>(team, total, result);
    if constexpr (active_sums<From, true>() > 0) reduce<true, From>(team, total, result);
    return result;
  }
  template <class From, std::size_t K>
  LIMBECK_DEVICE static void merge(From& total, const From& partial) {
    if constexpr (is_peak<From, K>()) {
      total.sum[K] = larger(total.sum[K], partial.sum[K]);
    } else {
      total.sum[K] += partial.sum[K];
    }
  }
  template <bool Peaks, class From, class To, class Team>
  LIMBECK_DEVICE static void reduce(Team& team, const From& total, To& result) {
    team_array<T, at_least_one(active_sums<From, Peaks>())> a{};
    std::size_t i = 0;
    for_each_index<From::size>([&](auto k) {
      if constexpr (From::template active<k> && is_peak<From, k>() == Peaks) a.v[i++] = total.sum[k].v;
    });
    if constexpr (Peaks) {
      a = team.highest(a);
    } else {
      a = team.sum(a);
    }
    i = 0;
    for_each_index<From::size>([&](auto k) {
      if constexpr (From::template active<k> && is_peak<From, k>() == Peaks) result.sum[k] = a.v[i++];
    });
  }

  // --- the steps of a row --------------------------------------------------------------------------------------------

  struct opening {
    fault bad = fault::none;
    bool valid = false;
    std::int64_t label = -1;
    Numbers numbers;
  };
  LIMBECK_DEVICE opening open(std::size_t r) const {
    opening o;
    o.bad = in.bad_weight(r);
    if (o.bad != fault::none) return o;
    const double w = in.weight(r);
    o.valid = in.valid(r);
    if (!o.valid) return o;
    o.label = in.label(r);
    if (in.bad_label(r)) {
      o.bad = fault::label;
      return o;
    }
    if constexpr (Plan::uses_row_temperatures) {
      if (!start_row<Plan>(in, terms, 1.0, r, o.numbers)) o.bad = fault::row_temperature;
    } else {
      o.numbers = batch;
    }
    weigh_row(o.numbers, static_cast<T>(w * normalizer()));
    if (in.labels.data() && !in.labelled(r)) mute_labelled_terms<Plan>(o.numbers);
    return o;
  }
  LIMBECK_DEVICE double normalizer() const { return weigh ? out->normalizer : over_weight; }

  /// Row @p r, by a team of threads that all call this.
  template <class Team>
  LIMBECK_DEVICE void row(Team team, std::size_t r) const {
    const opening o = team.once([&] { return open(r); });
    if (o.bad != fault::none) return report(team, r, o.bad);
    if (!o.valid) return skip(team, r);
    Numbers n = o.numbers;
    if constexpr (NS > 0) {
      const bool masks = take_maxima(team, r, o.label, n);
      const fault bad = take_normalizers(team, r, o.label, n);
      if (bad != fault::none) return report(team, r, bad);
      if constexpr (!sees_student || !sees_teacher) {
        bool seen = masks;
        if (const fault found = check_logits(team, r, seen); found != fault::none) return report(team, r, found);
      }
      if constexpr (Plan::weighs) {
        if (const fault odd = read_signals(team, r, o.label, n); odd != fault::none) return report(team, r, odd);
      }
      const bool unbounded = compares && masks && infinite(team, r, o.label, n);
      close(team, r, o.label, n, unbounded);
    } else {
      bool masks = false;
      const fault bad = check_logits(team, r, masks);
      if (bad != fault::none) return report(team, r, bad);
      if constexpr (Plan::weighs) {
        if (const fault odd = read_signals(team, r, o.label, n); odd != fault::none) return report(team, r, odd);
      }
      close(team, r, o.label, n, compares && masks && infinite(team, r, o.label, n));
    }
  }

  template <class Team>
  LIMBECK_DEVICE void report(const Team& team, std::size_t r, fault bad) const {
    if (team.rank() == 0) device_faults::report(out, r, bad);
  }

  template <class Team>
  LIMBECK_DEVICE void skip(const Team& team, std::size_t r) const {
    if (team.rank() == 0) {
      values[r] = 0;
      if (in.row_losses) in.row_losses[r] = T(0);
      for_each_index<learned>([&](auto k) { temperatures[r * learned + k] = 0; });
      if (in.row_temperature_gradient) in.row_temperature_gradient[r] = T(0);
    }
    if constexpr (Mode::gradient) {
      if (!in.add) each_class<false, true>(team, r, -1, [](const position&, T& g) { g = T(0); });
    }
  }

  /// Step 1. Whether a class is masked on one side or both.
  template <class Team>
  LIMBECK_DEVICE bool take_maxima(Team& team, std::size_t r, std::int64_t label, Numbers& n) const {
    team_array<T, NM + (compares ? 3 : 0)> high;  // then the highest of -student and -teacher, 1 where one is masked
    for (std::size_t i = 0; i < NM; ++i) high.v[i] = masked_logit<T>;
    if constexpr (compares) high.v[NM] = high.v[NM + 1] = -infinity, high.v[NM + 2] = T(0);
    each_class<false, false>(team, r, label, [&](const position& at, T&) {
      for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t Index>() {
        high.v[Index] = larger(X(high.v[Index]), at.template raw_logit<typename M::who, typename M::domain>()).v;
      });
      if constexpr (compares) {
        if (!at.within) return;
        const T x[2] = {at.student, at.teacher};
        for (std::size_t i = 0; i < 2; ++i) {
          if (x[i] > masked_logit<T>) {
            high.v[NM + i] = larger(X(high.v[NM + i]), X(-x[i])).v;
          } else {
            high.v[NM + 2] = T(1);
          }
        }
      }
    });
    high = team.highest(high);
    for (std::size_t i = 0; i < NM; ++i) n.maximum[i] = high.v[i];
    if constexpr (compares) {
      set_origins(n, -high.v[NM], -high.v[NM + 1]);
      return high.v[NM + 2] > T(0);
    } else {
      return false;
    }
  }

  /// Steps 2 and 3.
  template <class Team>
  LIMBECK_DEVICE fault take_normalizers(Team& team, std::size_t r, std::int64_t label, Numbers& n) const {
    const auto nx = n.template broadcast<X>();
    const auto sums = sum_classes<exponential_sums<X, Plan>, exponential_sums<T, Plan>, false>(
        team, r, label, [&](const position& at, T&, auto& total) {
          X e[at_least_one(NS)];
          exponentials<Plan>(nx, at, e, total);
        });
    struct solution {
      Numbers numbers;
      fault bad;
    };
    const solution s = team.once([&] {
      solution x;
      x.numbers = n;
      T logs[at_least_one(logarithms<Plan>)];
      ask_logarithms<Plan>(sums, logs);
      for (T& v : logs) v = log_positive(X(v)).v;
      x.bad = solve<Plan>(x.numbers, sums, logs);
      return x;
    });
    n = s.numbers;
    if constexpr (NP > 0) {
      if (s.bad == fault::none && is_close<Plan>(n, sums)) {
        const auto now = n.template broadcast<X>();
        correct<Plan>(n, sum_classes<residual_sums<X, Plan>, residual_sums<T, Plan>, false>(
                             team, r, label, [&](const position& at, T&, auto& total) {
                               X e[at_least_one(NS)];
                               take_exponentials(now, at, e);
                               residuals<Plan>(now, at, e, total);
                             }));
      }
    }
    return s.bad;
  }

  /// The signals of a row, multiplied into the weights of their terms.
  template <class Team>
  LIMBECK_DEVICE fault read_signals(Team& team, std::size_t r, std::int64_t label, Numbers& n) const {
    signal_sums<T, Plan> sums{};
    if constexpr (Plan::signals_by_class) {
      const auto nx = n.template broadcast<X>();
      sums = sum_classes<signal_sums<X, Plan>, signal_sums<T, Plan>, false>(
          team, r, label, [&](const position& at, T&, auto& total) {
            X e[at_least_one(NS)];
            take_exponentials(nx, at, e);
            signals_at<Plan>(nx, terms, at, e, total);
          });
    }
    struct solution {
      Numbers numbers;
      fault bad;
    };
    const solution s = team.once([&] {
      T logits[at_least_one(NM)]{};
      label_logits(r, label, logits);
      solution x{n, fault::none};
      signal_sums<T, Plan> mine = sums;
      x.bad = weigh_by_signals<Plan>(x.numbers, mine, terms, logits, in.classes(), r);
      return x;
    });
    n = s.numbers;
    return s.bad;
  }
  /// Of every maximum, the clamped logit at the label.
  LIMBECK_DEVICE void label_logits(std::size_t r, std::int64_t label, T* logits) const {
    const std::size_t y = label < 0 ? 0 : static_cast<std::size_t>(label);
    for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t Index>() {
      const T x = std::is_same_v<typename M::who, student_side> ? in.student.as_native()(r, y) : in.teacher.as_native()(r, y);
      logits[Index] = larger(X(T(masked_logit<T>)), X(x)).v;
    });
  }

  LIMBECK_DEVICE static void take_exponentials(const row_numbers<X, Plan>& n, const position& at, X* e) {
    exponential_sums<X, Plan> unused;
    for_each_index<exponential_sums<X, Plan>::size>([&](auto k) { unused.sum[k] = X(T(0)); });
    exponentials<Plan>(n, at, e, unused);
  }

  /// A row with masked classes: is one of its pointwise sums infinite?
  template <class Team>
  LIMBECK_DEVICE bool infinite(Team& team, std::size_t r, std::int64_t label, const Numbers& n) const {
    // a class that the student, or the teacher, masks alone: of each pair, of any; and one that a term's soft label names
    team_array<T, 2 * (NP + 1) + (Mode::soft_labels ? Plan::size : 0)> found{};
    const auto nx = n.template broadcast<X>();
    each_class<false, false>(team, r, label, [&](const position& at, T&) {
      if (!at.within) return;
      const bool no_student = at.student <= masked_logit<T>, no_teacher = at.teacher <= masked_logit<T>;
      if constexpr (Mode::soft_labels) {
        for_each_index<Plan::size>([&](auto k) {
          if constexpr (is<typename Plan::template term_at<k>::loss_type, labelwise> && per_class<Mode, typename Plan::template term_at<k>::loss_type>)
            if (no_student && soft_target_of(terms[hana::size_t<k>{}].loss, at.soft, in.classes()) > 0)
              found.v[2 * (NP + 1) + k] = 1;
        });
      }
      if (no_student == no_teacher) return;
      found.v[no_student ? 2 * NP : 2 * NP + 1] = 1;
      X e[at_least_one(NS)];
      take_exponentials(nx, at, e);
      for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() {
        if (no_student && e[Plan::softmaxes::template index<typename P::teacher>()].v > 0) found.v[2 * J] = 1;
        if (no_teacher && e[Plan::softmaxes::template index<typename P::student>()].v > 0) found.v[2 * J + 1] = 1;
      });
    });
    found = team.highest(found);
    bool result = false;
    for_each_index<Plan::size>([&](auto k) {
      using Term = typename Plan::template term_at<k>;
      const auto consider = [&](std::size_t j) {
        result = result || (n.value_weight[k] != 0 && ((found.v[2 * j] > 0 && diverges_student[k]) ||
                                                       (found.v[2 * j + 1] > 0 && diverges_teacher[k])));
      };
      if constexpr (is<typename Term::loss_type, pointwise>)
        consider(Plan::pairs::template index<
                 pair_key<typename Term::student_slot, typename Term::teacher_slot, typename Term::domain>>());
      if constexpr (is<typename Term::loss_type, logitwise>) consider(NP);
      if constexpr (Mode::soft_labels) result = result || (n.value_weight[k] != 0 && found.v[2 * (NP + 1) + k] > 0);
    });
    return result;
  }

  /// For tensors of which there is no softmax, which would have found these.
  template <class Team>
  LIMBECK_DEVICE fault check_logits(Team& team, std::size_t r, bool& masks) const {
    team_array<T, 5> found{};  // student: a bad one, a finite one; teacher; one is masked
    each_class<false, false>(team, r, -1, [&](const position& at, T&) {
      if (!at.within) return;
      if (!(at.student <= -masked_logit<T>)) found.v[0] = 1;
      found.v[at.student > masked_logit<T> ? 1 : 4] = 1;
      if (!(at.teacher <= -masked_logit<T>)) found.v[2] = 1;
      found.v[at.teacher > masked_logit<T> ? 3 : 4] = 1;
    });
    found = team.highest(found);
    masks = masks || found.v[4] > 0;
    if (!sees_student && (found.v[0] > 0 || !(found.v[1] > 0))) return fault::student;
    if (!sees_teacher && (found.v[2] > 0 || !(found.v[3] > 0))) return fault::teacher;
    return fault::none;
  }

  /// Mean of the student's logits, less their maximum.
  template <class Team>
  LIMBECK_DEVICE T mean_logit(Team& team, std::size_t r, T highest) const {
    using Sum = std::conditional_t<Team::alone, double, T>;
    team_array<Sum, 1> a{};
    each_class<false, false>(team, r, -1, [&](const position& at, T&) {
      if (at.within) a.v[0] += static_cast<Sum>(at.student - highest);
    });
    return static_cast<T>(team.sum(a).v[0] / static_cast<Sum>(in.classes()));
  }

  /// Steps 4 and 5, and what is written.
  template <class Team>
  LIMBECK_DEVICE void close(Team& team, std::size_t r, std::int64_t label, const Numbers& n, bool unbounded) const {
    const auto nx = n.template broadcast<X>();
    flow_sums<T, Plan, Mode> sums{};
    if constexpr (classwise) {
      sums = sum_classes<flow_sums<X, Plan, Mode>, flow_sums<T, Plan, Mode>, Mode::gradient>(
          team, r, label, [&](const position& at, T& g, auto& total) {
            X e[at_least_one(NS)];
            take_exponentials(nx, at, e);
            g += flows<Plan, Mode>(nx, terms, at, e, total).v;
          });
      if constexpr (Mode::soft_labels) {
        if (!(sums.soft_low() >= 0 && sums.soft_sum() < infinity)) return report(team, r, fault::soft_labels);
      }
    }
    T mean(0);
    using Whole = maximum_key<student_side, all>;
    if constexpr (plan_wants_mean<Mode, Plan>::value) {
      if (wants_mean) mean = mean_logit(team, r, n.maximum[Plan::maxima::template index<Whole>()]);
    }
    const row_finish<T, Plan> result = team.once([&] {
      T logits[at_least_one(NM)]{};
      label_logits(r, label, logits);
      flow_sums<T, Plan, Mode> mine = sums;
      return finish<Plan, Mode>(in, n, terms, mine, logits, mean);
    });
    const T value = unbounded ? infinity : result.value;
    const bool hold = !(value < infinity);
    if (team.rank() == 0) write_numbers(result, r, value);
    if constexpr (Mode::gradient) {
      T coefficient[at_least_one(NS)];
      for_each_index<NS>([&](auto k) { coefficient[k] = result.coefficient[k] * n.inverse_z[k]; });
      each_class<classwise, true>(team, r, label, [&](const position& at, T& stored) {
        T g = result.uniform + stored;
        for_each_key(typename Plan::softmaxes{}, [&]<class K, std::size_t Index>() {
          if constexpr (std::is_same_v<typename K::who, student_side>) {
            constexpr auto m = Plan::maxima::template index<typename K::maximum>();
            constexpr auto t = Plan::slot_keys::template index<typename K::slot>();
            const X x = at.template raw_logit<student_side, typename K::domain>();
            g += coefficient[Index] * exp2_negative((x - nx.maximum[m]) * nx.exponent_scale[t]).v;
          }
        });
        if (at.is_label && result.label != 0) g += result.label;
        stored = hold ? held(g) : g;
      });
    }
  }

  LIMBECK_DEVICE void write_numbers(const row_finish<T, Plan>& result, std::size_t r, T value) const {
    values[r] = static_cast<double>(value);
    if (in.row_losses) in.row_losses[r] = value;
    if constexpr (Mode::gradient) {
      const auto by_t = [&](std::size_t i) {
        return value < infinity ? result.temperature_gradient[i] : held(result.temperature_gradient[i]);
      };
      [[maybe_unused]] std::size_t next = 0;
      for_each_key(typename Plan::slot_keys{}, [&]<class S, std::size_t Index>() {
        if constexpr (is_learned<S>)
          temperatures[r * learned + next++] = static_cast<double>(by_t(Index));
        if constexpr (Mode::row_temperature_gradient && std::is_same_v<S, row_slot>)
          in.row_temperature_gradient[r] = by_t(Index);
      });
    }
  }

  // --- over all rows -----------------------------------------------------------------------------------------------

  using totals = team_array<double, 4 + learned>;  // weight, rows, loss, rows shown, temperatures

  /// Rows [first, last), the losses only once there are any.
  template <class Team>
  LIMBECK_DEVICE totals add_rows(Team& team, std::size_t first, std::size_t last, bool with_losses) const {
    totals sum{};
    for (std::size_t r = first + team.rank(); r < last; r += team.size()) {
      sum.v[3] += in.shown(r) ? 1 : 0;
      if (!in.valid(r)) continue;
      const double w = in.weight(r);
      sum.v[0] += w;
      sum.v[1] += 1;
      if (!with_losses) continue;
      sum.v[2] += w * values[r];
      if constexpr (Mode::gradient)
        for_each_index<learned>([&](auto k) { sum.v[4 + k] += temperatures[r * learned + k]; });
    }
    return team.sum(sum);
  }

  /// What one thread writes in the end, or, before the rows, the normaliser.
  LIMBECK_DEVICE void conclude(const totals& sum, bool with_losses) const {
    if (!with_losses) {
      out->normalizer = sum.v[0] > 0 ? 1 / sum.v[0] : 0;
      return;
    }
    out->weight = sum.v[0];
    out->rows = sum.v[1];
    out->loss = sum.v[2] * normalizer();
    for_each_index<learned>([&](auto k) { out->temperature_gradient[k] = sum.v[4 + k]; });
    fault_place p;
    if (out->fault != 0) {
      const unsigned long long key = ~out->fault;
      p = locate_fault(in, static_cast<fault>(key % device_faults::codes),
                       static_cast<std::size_t>(key / device_faults::codes));
    } else if (sum.v[3] > 0 && sum.v[0] == 0 && in.reduce == reduction::mean) {
      p.code = fault::no_weight;
    }
    if (p.code != fault::none) out->report(p);
  }
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
