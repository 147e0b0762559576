#ifndef LIMBECK_SIGNAL_SIGNALS_HPP
#define LIMBECK_SIGNAL_SIGNALS_HPP

/// @file
/// The signals of the literature. p = softmax(x/T) is the row that they are read off: in an objective that of
/// `of_student(signal)` or `of_teacher(signal)`, at the temperature of the place where the signal stands.

#include <limbeck/core/describe.hpp>
#include <limbeck/engine/point.hpp>
#include <limbeck/signal/signal.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

/// Entropy, -sum p log p, in nats: 0 where the row is sure, log C where it knows nothing.
struct entropy {
  using limbeck_signal = row_signal;
  template <class X>
  LIMBECK_INLINE static constexpr X at_class(const class_point<X>& x) {
    return -(x.p * x.log_p);
  }
  template <class T>
  LIMBECK_INLINE static constexpr T value(const row_summary<T>& x) {
    return x.sum;
  }
};

/// Confidence, the highest probability: 1/C to 1. (Least confidence is `1 - confidence{}`.)
struct confidence {
  using limbeck_signal = row_signal;
  template <class T>
  LIMBECK_INLINE static constexpr T value(const row_summary<T>& x) {
    return x.highest;
  }
};

/// Margin, the highest probability less the second highest: 0 where two classes tie. One class alone has margin 1.
/// Scheffer, Decomain and Wrobel, Active Hidden Markov Models for Information Extraction, 2001.
struct margin {
  using limbeck_signal = row_signal;
  static constexpr bool needs_second = true;
  template <class T>
  LIMBECK_INLINE static constexpr T value(const row_summary<T>& x) {
    return x.highest - x.second;
  }
};

/// Energy, -T log sum exp(x/T): low where the row has seen its like. Unlike the others it sees shifts of the logits. Liu et
/// al., Energy-based Out-of-distribution Detection, 2020, arXiv:2010.03759.
struct energy {
  using limbeck_signal = row_signal;
  template <class T>
  LIMBECK_INLINE static constexpr T value(const row_summary<T>& x) {
    return -(x.maximum + x.temperature * x.log_z);
  }
};

/// Correctness: 1 where no class has a larger logit than the label, else 0.
struct correctness {
  using limbeck_signal = row_signal;
  static constexpr bool needs_labels = true;
  template <class T>
  LIMBECK_INLINE static constexpr T value(const row_summary<T>& x) {
    return x.label_is_top ? T(1) : T(0);
  }
};

/// The label's probability p_y: the difficulty of a row, from 1 (easy) to 0.
struct label_probability {
  using limbeck_signal = row_signal;
  static constexpr bool needs_labels = true;
  template <class T>
  LIMBECK_INLINE static T value(const row_summary<T>& x) {
    return std::exp(x.label_log_p);
  }
};

/// The cross-entropy with the label, -log p_y.
struct label_loss {
  using limbeck_signal = row_signal;
  static constexpr bool needs_labels = true;
  template <class T>
  LIMBECK_INLINE static constexpr T value(const row_summary<T>& x) {
    return -x.label_log_p;
  }
};

/// @cond
template <class L>
struct divergence_signal {
  using limbeck_signal = pair_signal;
  L loss;
  std::string describe() const { return "divergence_of(" + detail::described(loss) + ')'; }
};
/// @endcond

/// How far student and teacher are apart on a row: the value of any pointwise loss, `divergence_of(reverse_kl{})`.
template <class Loss>
constexpr divergence_signal<Loss> divergence_of(const Loss& loss) {
  static_assert(std::is_same_v<typename Loss::limbeck_loss, pointwise>,
                "limbeck: divergence_of takes a pointwise loss, such as forward_kl{}; of any other loss, take "
                "row_losses(out) and then given(out)");
  return {loss};
}

LIMBECK_END_NAMESPACE

#endif
