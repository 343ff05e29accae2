#pragma once

/// Everything but the extensions, which are included one by one from pjrt/ext/. What is in pjrt/model/ is linked from
/// pjrt::model, the rest from pjrt::core; pjrt::pjrt is both.
///
/// What holds for every type of the library:
/// - Functions that can fail return a Result, an Event or a Future, and throw nothing.
/// - Nothing is undefined on an object that was moved from, nor at an index past the end. What can fail answers
///   FailedPrecondition; everything else gives an empty value: "", 0 or -1, an empty list, or the empty handle. Handles
///   that borrow (Client, Device, Memory, Executable, Topology) copy when they are moved.
/// - Spans, views and stored arguments cannot be taken from temporaries.
/// - In a forked child, what the parent made answers FailedPrecondition, and its destruction does nothing. The same
///   holds for what is destroyed while the process ends.
/// - Callbacks run on threads of the library and may block; see RunOn.

#include "pjrt/buffer.hpp"
#include "pjrt/chunk.hpp"
#include "pjrt/client.hpp"
#include "pjrt/compile_options.hpp"
#include "pjrt/copy_to_device_stream.hpp"
#include "pjrt/device.hpp"
#include "pjrt/device_assignment.hpp"
#include "pjrt/device_description.hpp"
#include "pjrt/element_type.hpp"
#include "pjrt/error.hpp"
#include "pjrt/event.hpp"
#include "pjrt/executable.hpp"
#include "pjrt/execute_options.hpp"
#include "pjrt/future.hpp"
#include "pjrt/host_buffer.hpp"
#include "pjrt/key_value_store.hpp"
#include "pjrt/layout.hpp"
#include "pjrt/loaded_executable.hpp"
#include "pjrt/memory.hpp"
#include "pjrt/model/interface.hpp"
#include "pjrt/model/jax_export.hpp"
#include "pjrt/model/model.hpp"
#include "pjrt/model/npz.hpp"
#include "pjrt/model/session.hpp"
#include "pjrt/named_value.hpp"
#include "pjrt/numeric.hpp"
#include "pjrt/plugin.hpp"
#include "pjrt/prepared_execution.hpp"
#include "pjrt/print.hpp"
#include "pjrt/profile.hpp"
#include "pjrt/program.hpp"
#include "pjrt/serialized_executable.hpp"
#include "pjrt/shape.hpp"
#include "pjrt/sharding.hpp"
#include "pjrt/topology.hpp"
#include "pjrt/transfer_manager.hpp"
#include "pjrt/version.hpp"
