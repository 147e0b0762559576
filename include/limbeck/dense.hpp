#ifndef LIMBECK_DENSE_HPP
#define LIMBECK_DENSE_HPP

/// @file
/// Pictures: masks by boundaries, boxes and patches, regions, maps of anomalies, boxes of detectors, intersection over union. Plain
/// functions of views on the host. Needs no tensor library.

#include <limbeck/dense/anomaly_map.hpp>
#include <limbeck/dense/boundary_mask.hpp>
#include <limbeck/dense/box.hpp>
#include <limbeck/dense/box_mask.hpp>
#include <limbeck/dense/grid.hpp>
#include <limbeck/dense/instances.hpp>
#include <limbeck/dense/maps.hpp>
#include <limbeck/dense/mean_iou.hpp>
#include <limbeck/dense/normalisers.hpp>
#include <limbeck/dense/patches.hpp>
#include <limbeck/dense/regions.hpp>
#include <limbeck/dense/targets.hpp>

#endif
