package triton.flink;

import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.catalog.Column.MetadataColumn;
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

    /**
     * The name by which Rust knows a column. One that the Table API declares as metadata is filled
     * by the function; the keys that Flink's own modules have for that are understood, too.
     */
    static String name(Column column) {
        if (!(column instanceof MetadataColumn)) {
            return column.getName();
        }
        String key = ((MetadataColumn) column).getMetadataKey().orElse(column.getName());
        switch (key) {
            case "error-string":
                return "prediction_error";
            case "http-status-code":
                return "prediction_http_status";
            default:
                return key.replace('-', '_');
        }
    }

    private static void writeColumns(RowWriter writer, ResolvedSchema schema) {
        writer.writeInt(schema.getColumnCount());
        for (Column column : schema.getColumns()) {
            writer.writeText(name(column));
            writer.writeText(column.getDataType().getLogicalType().asSummaryString());
        }
    }
}
