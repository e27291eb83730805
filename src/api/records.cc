#include "api/records.h"

#include "api/shape_field.h"

namespace godwit::api {

const Shape& shape_of(const InstanceRecord*) {
    static constexpr Member members[] = {field<&InstanceRecord::shown>("shown")};
    static constexpr Shape shape{"instance record", members};
    return shape;
}

const Shape& shape_of(const SubnetGroupRecord*) {
    static constexpr Member members[] = {field<&SubnetGroupRecord::shown>("shown")};
    static constexpr Shape shape{"subnet group record", members};
    return shape;
}

const Shape& shape_of(const EndpointRecord*) {
    static constexpr Member members[] = {field<&EndpointRecord::shown>("shown"),
                                         field<&EndpointRecord::sealed>("sealed")};
    static constexpr Shape shape{"endpoint record", members};
    return shape;
}

const Shape& shape_of(const ConnectionRecord*) {
    static constexpr Member members[] = {field<&ConnectionRecord::shown>("shown")};
    static constexpr Shape shape{"connection record", members};
    return shape;
}

const Shape& shape_of(const SchemasRecord*) {
    static constexpr Member members[] = {field<&SchemasRecord::shown>("shown"),
                                         field<&SchemasRecord::names>("names")};
    static constexpr Shape shape{"schemas record", members};
    return shape;
}

const Shape& shape_of(const TaskRecord*) {
    static constexpr Member members[] = {
        field<&TaskRecord::shown>("shown"),
        field<&TaskRecord::former_status>("former_status"),
        field<&TaskRecord::user_settings>("user_settings"),
        field<&TaskRecord::start_type>("start_type"),
        field<&TaskRecord::run_cdc_start>("run_cdc_start"),
        field<&TaskRecord::run_cdc_stop>("run_cdc_stop"),
        field<&TaskRecord::started>("started"),
        field<&TaskRecord::ran>("ran"),
        field<&TaskRecord::run_ran>("run_ran"),
        field<&TaskRecord::visible_until>("visible_until"),
        field<&TaskRecord::events_seen_us>("events_seen_us"),
        field<&TaskRecord::run_started>("run_started"),
    };
    static constexpr Shape shape{"task record", members};
    return shape;
}

const Shape& shape_of(const CertificateRecord*) {
    static constexpr Member members[] = {field<&CertificateRecord::shown>("shown")};
    static constexpr Shape shape{"certificate record", members};
    return shape;
}

const Shape& shape_of(const TagsRecord*) {
    static constexpr Member members[] = {field<&TagsRecord::tags>("tags")};
    static constexpr Shape shape{"tags record", members};
    return shape;
}

}  // namespace godwit::api
