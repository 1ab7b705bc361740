package triton.flink;

import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.catalog.ResolvedCatalogModel;
import org.apache.flink.table.catalog.ResolvedSchema;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.logical.LogicalType;

/** A model as Rust gets it: options and columns, all as text. */
final class ModelDescription {
    private ModelDescription() {}

    static byte[] of(ResolvedCatalogModel model, Duration rowTimeout) {
        Map<String, String> options = new TreeMap<>(model.getOptions());
        // It chose this provider, and is no option of it.
        options.remove(FactoryUtil.PROVIDER.key());
        RowWriter writer = new RowWriter();
        writer.writeInt(options.size());
        options.forEach(
                (key, value) -> {
                    writer.writeText(key);
                    writer.writeText(value);
                });
        writeColumns(writer, model.getResolvedInputSchema());
        writeColumns(writer, model.getResolvedOutputSchema());
        writer.writeLong(rowTimeout.toMillis());
        return writer.toBytes();
    }

    static LogicalType[] types(ResolvedSchema schema) {
        return schema.getColumnDataTypes().stream()
                .map(type -> type.getLogicalType())
                .toArray(LogicalType[]::new);
    }

    private static void writeColumns(RowWriter writer, ResolvedSchema schema) {
        writer.writeInt(schema.getColumnCount());
        for (Column column : schema.getColumns()) {
            writer.writeText(column.getName());
            writer.writeText(column.getDataType().getLogicalType().asSummaryString());
        }
    }
}
