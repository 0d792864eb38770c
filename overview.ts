import type { Dashboard } from '@grafana/schema';
export const d: Dashboard = {
  "annotations": {
    "list": []
  },
  "description": "The repositories of Huawei Cloud SWR: totals, growth, the largest, the public, the stale.",
  "editable": true,
  "graphTooltip": 1,
  "links": [
    {
      "asDropdown": false,
      "icon": "external link",
      "includeVars": true,
      "keepTime": true,
      "tags": [
        "swr-exporter"
      ],
      "targetBlank": false,
      "title": "SWR",
      "tooltip": "",
      "type": "dashboards"
    }
  ],
  "panels": [
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 0
      },
      "id": 1,
      "panels": [],
      "title": "Now",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Repositories listed.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 3,
        "x": 0,
        "y": 1
      },
      "id": 2,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_namespace_repositories{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Repositories",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Sum of the sizes that the API tells of each repository; layers that repositories share count once for each.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 3,
        "x": 3,
        "y": 1
      },
      "id": 3,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Size",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Tags of all repositories.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 3,
        "x": 6,
        "y": 1
      },
      "id": 4,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_namespace_images{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Tags",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Downloads of all repositories so far.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 3,
        "x": 9,
        "y": 1
      },
      "id": 5,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_namespace_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Downloads",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Repositories that everybody can pull from; the table below names them.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 3,
        "x": 12,
        "y": 1
      },
      "id": 6,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "count(max without (instance, pod, node, replica) (swr_repository_info{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", visibility=\"public\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Public repositories",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Alerts of the rules that come with these dashboards; the table below names them.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "green",
                "value": null
              },
              {
                "color": "yellow",
                "value": 1.0
              },
              {
                "color": "red",
                "value": 10.0
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 3,
        "x": 15,
        "y": 1
      },
      "id": 7,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "count(ALERTS{alertname=~\"Swr.+\", alertstate=\"firing\", job=~\"$job\", account=~\"$account\"})",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Firing alerts",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Whether the latest refresh of every account was complete.",
      "fieldConfig": {
        "defaults": {
          "links": [
            {
              "title": "Show the exporter",
              "url": "/d/swr-exporter?${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
            }
          ],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "red",
                "value": null
              },
              {
                "color": "yellow",
                "value": 1.0
              },
              {
                "color": "green",
                "value": 1.0
              }
            ]
          },
          "unit": "bool_yes_no"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 3,
        "x": 18,
        "y": 1
      },
      "id": 8,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "min(max without (instance, pod, node, replica) (swr_up{job=~\"$job\", account=~\"$account\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Complete",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Time since the repositories were last read, of the account that waits for longest. The exporter dashboard says why.",
      "fieldConfig": {
        "defaults": {
          "links": [
            {
              "title": "Show the exporter",
              "url": "/d/swr-exporter?${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
            }
          ],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "green",
                "value": null
              },
              {
                "color": "yellow",
                "value": 900.0
              },
              {
                "color": "red",
                "value": 3600.0
              }
            ]
          },
          "unit": "s"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 3,
        "x": 21,
        "y": 1
      },
      "id": 9,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max(clamp_min(time() - max without (instance, pod, node, replica) (swr_snapshot_timestamp_seconds{job=~\"$job\", account=~\"$account\"}), 0))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Age of the data",
      "type": "stat"
    },
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 5
      },
      "id": 10,
      "panels": [],
      "title": "Growth",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "By how much the sizes of all organisations together changed. Organisations that are new since then do not count.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "needs a day of history",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 4,
        "x": 0,
        "y": 6
      },
      "id": 11,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) - max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} offset 1d))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Growth in a day",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "By how much the sizes of all organisations together changed. Organisations that are new since then do not count.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "needs a week of history",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 4,
        "x": 4,
        "y": 6
      },
      "id": 12,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) - max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} offset 7d))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Growth in a week",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "By how much the sizes of all organisations together changed. Organisations that are new since then do not count.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "needs a month of history",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 4,
        "x": 8,
        "y": 6
      },
      "id": 13,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) - max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} offset 30d))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Growth in a month",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Bytes of all distinct layers of the account, each counted once: what is really stored. Needs the collector tags.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "collector tags is off",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 4,
        "x": 12,
        "y": 6
      },
      "id": 14,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_unique_layer_bytes{job=~\"$job\", account=~\"$account\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Stored layers",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Share of each quota of the account that is used. Needs the collector account.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "max": 1,
          "min": 0,
          "noValue": "collector account is off",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "green",
                "value": null
              },
              {
                "color": "yellow",
                "value": 0.75
              },
              {
                "color": "red",
                "value": 0.9
              }
            ]
          },
          "unit": "percentunit"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 8,
        "x": 16,
        "y": 6
      },
      "id": 15,
      "options": {
        "displayMode": "basic",
        "orientation": "horizontal",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max without (instance, pod, node, replica) (swr_quota_used{job=~\"$job\", account=~\"$account\"}) / (max without (instance, pod, node, replica) (swr_quota_limit{job=~\"$job\", account=~\"$account\"}) > 0)",
          "format": "time_series",
          "instant": true,
          "legendFormat": "{{quota}} {{account}}",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Quotas",
      "type": "bargauge"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Sum of the sizes of each organisation's repositories, the 15 largest by themselves. Where the recording rules are loaded, their series are used, which may be kept for longer.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 40,
            "showPoints": "never",
            "stacking": {
              "group": "A",
              "mode": "normal"
            }
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 0,
        "y": 10
      },
      "id": 16,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum by (namespace) (max without (instance, pod, node, replica) (namespace:swr_namespace_size_bytes:max{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) or max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) and topk(15, sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} @ end())))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{namespace}}",
          "range": true,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(sum by (namespace) (max without (instance, pod, node, replica) (namespace:swr_namespace_size_bytes:max{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) or max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) unless topk(15, sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} @ end()))))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "all others",
          "range": true,
          "refId": "B"
        }
      ],
      "title": "Size by organisation",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "How many downloads were added in the hour before, the 15 organisations with the most downloads by themselves. Where the API's count falls, none is shown.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 40,
            "showPoints": "never",
            "stacking": {
              "group": "A",
              "mode": "normal"
            }
          },
          "links": [],
          "min": 0,
          "noValue": "needs an hour of history",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 10
      },
      "id": 17,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum by (namespace) (clamp_min(max without (instance, pod, node, replica) (swr_namespace_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) - max without (instance, pod, node, replica) (swr_namespace_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} offset 1h), 0)) and topk(15, sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} @ end())))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{namespace}}",
          "range": true,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(sum by (namespace) (clamp_min(max without (instance, pod, node, replica) (swr_namespace_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) - max without (instance, pod, node, replica) (swr_namespace_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} offset 1h), 0)) unless topk(15, sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} @ end()))))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "all others",
          "range": true,
          "refId": "B"
        }
      ],
      "title": "Downloads per hour by organisation",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Repositories listed of each organisation, the 15 largest by themselves.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 0,
        "y": 18
      },
      "id": 18,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_repositories{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) and topk(15, sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_repositories{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} @ end())))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{namespace}}",
          "range": true,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_repositories{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) unless topk(15, sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_repositories{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} @ end()))))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "all others",
          "range": true,
          "refId": "B"
        }
      ],
      "title": "Repositories by organisation",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Tags of each organisation's repositories, the 15 largest by themselves.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 18
      },
      "id": 19,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_images{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) and topk(15, sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_images{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} @ end())))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{namespace}}",
          "range": true,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_images{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) unless topk(15, sum by (namespace) (max without (instance, pod, node, replica) (swr_namespace_images{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} @ end()))))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "all others",
          "range": true,
          "refId": "B"
        }
      ],
      "title": "Tags by organisation",
      "type": "timeseries"
    },
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 26
      },
      "id": 20,
      "panels": [],
      "title": "Repositories",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The 20 largest repositories.",
      "fieldConfig": {
        "defaults": {
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": [
          {
            "matcher": {
              "id": "byName",
              "options": "Value #A"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Size"
              },
              {
                "id": "unit",
                "value": "bytes"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "Value #B"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Tags"
              },
              {
                "id": "unit",
                "value": "short"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "Value #C"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Downloads"
              },
              {
                "id": "unit",
                "value": "short"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "repository"
            },
            "properties": [
              {
                "id": "links",
                "value": [
                  {
                    "title": "Show the repository",
                    "url": "/d/swr-repository?var-namespace=${__data.fields.namespace}&var-repository=${__data.fields.repository}&${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
                  }
                ]
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 10,
        "w": 12,
        "x": 0,
        "y": 27
      },
      "id": 21,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Size"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})))",
          "format": "table",
          "instant": true,
          "legendFormat": "Size",
          "range": false,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_images{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) and topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})))",
          "format": "table",
          "instant": true,
          "legendFormat": "Tags",
          "range": false,
          "refId": "B"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) and topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})))",
          "format": "table",
          "instant": true,
          "legendFormat": "Downloads",
          "range": false,
          "refId": "C"
        }
      ],
      "title": "Largest repositories",
      "transformations": [
        {
          "id": "merge",
          "options": {}
        },
        {
          "id": "organize",
          "options": {
            "excludeByName": {
              "Time": true
            },
            "indexByName": {
              "account": 2,
              "alertname": 0,
              "category": 6,
              "collector": 9,
              "instance": 11,
              "instance_id": 13,
              "name": 12,
              "namespace": 3,
              "quota": 8,
              "reason": 10,
              "repository": 4,
              "revision": 16,
              "rustversion": 17,
              "severity": 1,
              "spec": 14,
              "status": 18,
              "tag": 5,
              "version": 15,
              "visibility": 7
            },
            "renameByName": {
              "account": "Account",
              "alertname": "Alert",
              "category": "Category",
              "collector": "Collector",
              "instance": "Exporter",
              "instance_id": "Instance ID",
              "name": "Instance",
              "namespace": "Organisation",
              "quota": "Quota",
              "reason": "Reason",
              "repository": "Repository",
              "revision": "Revision",
              "rustversion": "Compiler",
              "severity": "Severity",
              "spec": "Edition",
              "status": "Status",
              "tag": "Tag",
              "version": "Version",
              "visibility": "Visibility"
            }
          }
        }
      ],
      "type": "table"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The 20 repositories that grew most in a day.",
      "fieldConfig": {
        "defaults": {
          "noValue": "nothing grew, or a day of history is missing",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": [
          {
            "matcher": {
              "id": "byName",
              "options": "Value #A"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Growth in a day"
              },
              {
                "id": "unit",
                "value": "bytes"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "Value #B"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Size"
              },
              {
                "id": "unit",
                "value": "bytes"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "repository"
            },
            "properties": [
              {
                "id": "links",
                "value": [
                  {
                    "title": "Show the repository",
                    "url": "/d/swr-repository?var-namespace=${__data.fields.namespace}&var-repository=${__data.fields.repository}&${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
                  }
                ]
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 10,
        "w": 12,
        "x": 12,
        "y": 27
      },
      "id": 22,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Growth in a day"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) - max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} offset 1d) > 0))",
          "format": "table",
          "instant": true,
          "legendFormat": "Growth in a day",
          "range": false,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) and topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) - max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} offset 1d) > 0))",
          "format": "table",
          "instant": true,
          "legendFormat": "Size",
          "range": false,
          "refId": "B"
        }
      ],
      "title": "Fastest-growing repositories",
      "transformations": [
        {
          "id": "merge",
          "options": {}
        },
        {
          "id": "organize",
          "options": {
            "excludeByName": {
              "Time": true
            },
            "indexByName": {
              "account": 2,
              "alertname": 0,
              "category": 6,
              "collector": 9,
              "instance": 11,
              "instance_id": 13,
              "name": 12,
              "namespace": 3,
              "quota": 8,
              "reason": 10,
              "repository": 4,
              "revision": 16,
              "rustversion": 17,
              "severity": 1,
              "spec": 14,
              "status": 18,
              "tag": 5,
              "version": 15,
              "visibility": 7
            },
            "renameByName": {
              "account": "Account",
              "alertname": "Alert",
              "category": "Category",
              "collector": "Collector",
              "instance": "Exporter",
              "instance_id": "Instance ID",
              "name": "Instance",
              "namespace": "Organisation",
              "quota": "Quota",
              "reason": "Reason",
              "repository": "Repository",
              "revision": "Revision",
              "rustversion": "Compiler",
              "severity": "Severity",
              "spec": "Edition",
              "status": "Status",
              "tag": "Tag",
              "version": "Version",
              "visibility": "Visibility"
            }
          }
        }
      ],
      "type": "table"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The 20 repositories with the most downloads in a week.",
      "fieldConfig": {
        "defaults": {
          "noValue": "no downloads, or a week of history is missing",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": [
          {
            "matcher": {
              "id": "byName",
              "options": "Value #A"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Downloads in a week"
              },
              {
                "id": "unit",
                "value": "short"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "Value #B"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Downloads so far"
              },
              {
                "id": "unit",
                "value": "short"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "repository"
            },
            "properties": [
              {
                "id": "links",
                "value": [
                  {
                    "title": "Show the repository",
                    "url": "/d/swr-repository?var-namespace=${__data.fields.namespace}&var-repository=${__data.fields.repository}&${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
                  }
                ]
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 10,
        "w": 12,
        "x": 0,
        "y": 37
      },
      "id": 23,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Downloads in a week"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) - max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} offset 7d) > 0))",
          "format": "table",
          "instant": true,
          "legendFormat": "Downloads in a week",
          "range": false,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) and topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) - max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"} offset 7d) > 0))",
          "format": "table",
          "instant": true,
          "legendFormat": "Downloads so far",
          "range": false,
          "refId": "B"
        }
      ],
      "title": "Most downloaded repositories",
      "transformations": [
        {
          "id": "merge",
          "options": {}
        },
        {
          "id": "organize",
          "options": {
            "excludeByName": {
              "Time": true
            },
            "indexByName": {
              "account": 2,
              "alertname": 0,
              "category": 6,
              "collector": 9,
              "instance": 11,
              "instance_id": 13,
              "name": 12,
              "namespace": 3,
              "quota": 8,
              "reason": 10,
              "repository": 4,
              "revision": 16,
              "rustversion": 17,
              "severity": 1,
              "spec": 14,
              "status": 18,
              "tag": 5,
              "version": 15,
              "visibility": 7
            },
            "renameByName": {
              "account": "Account",
              "alertname": "Alert",
              "category": "Category",
              "collector": "Collector",
              "instance": "Exporter",
              "instance_id": "Instance ID",
              "name": "Instance",
              "namespace": "Organisation",
              "quota": "Quota",
              "reason": "Reason",
              "repository": "Repository",
              "revision": "Revision",
              "rustversion": "Compiler",
              "severity": "Severity",
              "spec": "Edition",
              "status": "Status",
              "tag": "Tag",
              "version": "Version",
              "visibility": "Visibility"
            }
          }
        }
      ],
      "type": "table"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The 20 repositories whose deletion would free most: layers that no other repository refers to. Needs the collector tags.",
      "fieldConfig": {
        "defaults": {
          "noValue": "collector tags is off",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": [
          {
            "matcher": {
              "id": "byName",
              "options": "Value #A"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Freed by deleting"
              },
              {
                "id": "unit",
                "value": "bytes"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "Value #B"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Size"
              },
              {
                "id": "unit",
                "value": "bytes"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "repository"
            },
            "properties": [
              {
                "id": "links",
                "value": [
                  {
                    "title": "Show the repository",
                    "url": "/d/swr-repository?var-namespace=${__data.fields.namespace}&var-repository=${__data.fields.repository}&${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
                  }
                ]
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 10,
        "w": 12,
        "x": 12,
        "y": 37
      },
      "id": 24,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Freed by deleting"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_exclusive_layer_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})))",
          "format": "table",
          "instant": true,
          "legendFormat": "Freed by deleting",
          "range": false,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) and topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_exclusive_layer_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})))",
          "format": "table",
          "instant": true,
          "legendFormat": "Size",
          "range": false,
          "refId": "B"
        }
      ],
      "title": "Largest share of its own",
      "transformations": [
        {
          "id": "merge",
          "options": {}
        },
        {
          "id": "organize",
          "options": {
            "excludeByName": {
              "Time": true
            },
            "indexByName": {
              "account": 2,
              "alertname": 0,
              "category": 6,
              "collector": 9,
              "instance": 11,
              "instance_id": 13,
              "name": 12,
              "namespace": 3,
              "quota": 8,
              "reason": 10,
              "repository": 4,
              "revision": 16,
              "rustversion": 17,
              "severity": 1,
              "spec": 14,
              "status": 18,
              "tag": 5,
              "version": 15,
              "visibility": 7
            },
            "renameByName": {
              "account": "Account",
              "alertname": "Alert",
              "category": "Category",
              "collector": "Collector",
              "instance": "Exporter",
              "instance_id": "Instance ID",
              "name": "Instance",
              "namespace": "Organisation",
              "quota": "Quota",
              "reason": "Reason",
              "repository": "Repository",
              "revision": "Revision",
              "rustversion": "Compiler",
              "severity": "Severity",
              "spec": "Edition",
              "status": "Status",
              "tag": "Tag",
              "version": "Version",
              "visibility": "Visibility"
            }
          }
        }
      ],
      "type": "table"
    },
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 47
      },
      "id": 25,
      "panels": [],
      "title": "Worth a look",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Repositories that nobody has pushed to for 180 days.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 6,
        "x": 0,
        "y": 48
      },
      "id": 26,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "count(max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) and time() - max without (instance, pod, node, replica) (swr_repository_updated_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) > 15552000)",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Stale repositories",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "What the repositories that nobody has pushed to for 180 days take up.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 6,
        "x": 6,
        "y": 48
      },
      "id": 27,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) and time() - max without (instance, pod, node, replica) (swr_repository_updated_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) > 15552000)",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Size of stale repositories",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Repositories that were created and hold nothing.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 6,
        "x": 12,
        "y": 48
      },
      "id": 28,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "count(max without (instance, pod, node, replica) (swr_repository_images{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) == 0)",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Repositories without tags",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Repositories that their organisations count and the listing does not show: the exporter's user may not see them. Needs the collector account.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "collector account is off",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 6,
        "x": 18,
        "y": 48
      },
      "id": 29,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_namespace_unlisted_repositories{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Repositories out of sight",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The 20 largest repositories that nobody has pushed to for 180 days.",
      "fieldConfig": {
        "defaults": {
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": [
          {
            "matcher": {
              "id": "byName",
              "options": "Value #A"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Size"
              },
              {
                "id": "unit",
                "value": "bytes"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "Value #B"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Not pushed for"
              },
              {
                "id": "unit",
                "value": "s"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "repository"
            },
            "properties": [
              {
                "id": "links",
                "value": [
                  {
                    "title": "Show the repository",
                    "url": "/d/swr-repository?var-namespace=${__data.fields.namespace}&var-repository=${__data.fields.repository}&${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
                  }
                ]
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 10,
        "w": 12,
        "x": 0,
        "y": 52
      },
      "id": 30,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Size"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) and time() - max without (instance, pod, node, replica) (swr_repository_updated_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) > 15552000))",
          "format": "table",
          "instant": true,
          "legendFormat": "Size",
          "range": false,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (time() - max without (instance, pod, node, replica) (swr_repository_updated_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) and topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) and time() - max without (instance, pod, node, replica) (swr_repository_updated_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) > 15552000))",
          "format": "table",
          "instant": true,
          "legendFormat": "Not pushed for",
          "range": false,
          "refId": "B"
        }
      ],
      "title": "Largest stale repositories",
      "transformations": [
        {
          "id": "merge",
          "options": {}
        },
        {
          "id": "organize",
          "options": {
            "excludeByName": {
              "Time": true
            },
            "indexByName": {
              "account": 2,
              "alertname": 0,
              "category": 6,
              "collector": 9,
              "instance": 11,
              "instance_id": 13,
              "name": 12,
              "namespace": 3,
              "quota": 8,
              "reason": 10,
              "repository": 4,
              "revision": 16,
              "rustversion": 17,
              "severity": 1,
              "spec": 14,
              "status": 18,
              "tag": 5,
              "version": 15,
              "visibility": 7
            },
            "renameByName": {
              "account": "Account",
              "alertname": "Alert",
              "category": "Category",
              "collector": "Collector",
              "instance": "Exporter",
              "instance_id": "Instance ID",
              "name": "Instance",
              "namespace": "Organisation",
              "quota": "Quota",
              "reason": "Reason",
              "repository": "Repository",
              "revision": "Revision",
              "rustversion": "Compiler",
              "severity": "Severity",
              "spec": "Edition",
              "status": "Status",
              "tag": "Tag",
              "version": "Version",
              "visibility": "Visibility"
            }
          }
        }
      ],
      "type": "table"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The 20 largest repositories that everybody can pull from.",
      "fieldConfig": {
        "defaults": {
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": [
          {
            "matcher": {
              "id": "byName",
              "options": "Value #A"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Size"
              },
              {
                "id": "unit",
                "value": "bytes"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "Value #B"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Downloads"
              },
              {
                "id": "unit",
                "value": "short"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "repository"
            },
            "properties": [
              {
                "id": "links",
                "value": [
                  {
                    "title": "Show the repository",
                    "url": "/d/swr-repository?var-namespace=${__data.fields.namespace}&var-repository=${__data.fields.repository}&${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
                  }
                ]
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 10,
        "w": 12,
        "x": 12,
        "y": 52
      },
      "id": 31,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Size"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) and ignoring (category, visibility) max without (instance, pod, node, replica) (swr_repository_info{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", visibility=\"public\"})))",
          "format": "table",
          "instant": true,
          "legendFormat": "Size",
          "range": false,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"})) and topk(20, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}) and ignoring (category, visibility) max without (instance, pod, node, replica) (swr_repository_info{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", visibility=\"public\"})))",
          "format": "table",
          "instant": true,
          "legendFormat": "Downloads",
          "range": false,
          "refId": "B"
        }
      ],
      "title": "Largest public repositories",
      "transformations": [
        {
          "id": "merge",
          "options": {}
        },
        {
          "id": "organize",
          "options": {
            "excludeByName": {
              "Time": true
            },
            "indexByName": {
              "account": 2,
              "alertname": 0,
              "category": 6,
              "collector": 9,
              "instance": 11,
              "instance_id": 13,
              "name": 12,
              "namespace": 3,
              "quota": 8,
              "reason": 10,
              "repository": 4,
              "revision": 16,
              "rustversion": 17,
              "severity": 1,
              "spec": 14,
              "status": 18,
              "tag": 5,
              "version": 15,
              "visibility": 7
            },
            "renameByName": {
              "account": "Account",
              "alertname": "Alert",
              "category": "Category",
              "collector": "Collector",
              "instance": "Exporter",
              "instance_id": "Instance ID",
              "name": "Instance",
              "namespace": "Organisation",
              "quota": "Quota",
              "reason": "Reason",
              "repository": "Repository",
              "revision": "Revision",
              "rustversion": "Compiler",
              "severity": "Severity",
              "spec": "Edition",
              "status": "Status",
              "tag": "Tag",
              "version": "Version",
              "visibility": "Visibility"
            }
          }
        }
      ],
      "type": "table"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "What fires now. docs/alerts.md says what to do about each.",
      "fieldConfig": {
        "defaults": {
          "noValue": "none, or the rules are not loaded",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": [
          {
            "matcher": {
              "id": "byName",
              "options": "repository"
            },
            "properties": [
              {
                "id": "links",
                "value": [
                  {
                    "title": "Show the repository",
                    "url": "/d/swr-repository?var-namespace=${__data.fields.namespace}&var-repository=${__data.fields.repository}&${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
                  }
                ]
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 8,
        "w": 24,
        "x": 0,
        "y": 62
      },
      "id": 32,
      "options": {
        "showHeader": true
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (alertname, severity, account, namespace, repository, quota, reason, collector, instance) (ALERTS{alertname=~\"Swr.+\", alertstate=\"firing\", job=~\"$job\", account=~\"$account\"})",
          "format": "table",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Alerts",
      "transformations": [
        {
          "id": "merge",
          "options": {}
        },
        {
          "id": "organize",
          "options": {
            "excludeByName": {
              "Time": true,
              "Value": true
            },
            "indexByName": {
              "account": 2,
              "alertname": 0,
              "category": 6,
              "collector": 9,
              "instance": 11,
              "instance_id": 13,
              "name": 12,
              "namespace": 3,
              "quota": 8,
              "reason": 10,
              "repository": 4,
              "revision": 16,
              "rustversion": 17,
              "severity": 1,
              "spec": 14,
              "status": 18,
              "tag": 5,
              "version": 15,
              "visibility": 7
            },
            "renameByName": {
              "account": "Account",
              "alertname": "Alert",
              "category": "Category",
              "collector": "Collector",
              "instance": "Exporter",
              "instance_id": "Instance ID",
              "name": "Instance",
              "namespace": "Organisation",
              "quota": "Quota",
              "reason": "Reason",
              "repository": "Repository",
              "revision": "Revision",
              "rustversion": "Compiler",
              "severity": "Severity",
              "spec": "Edition",
              "status": "Status",
              "tag": "Tag",
              "version": "Version",
              "visibility": "Visibility"
            }
          }
        }
      ],
      "type": "table"
    },
    {
      "collapsed": true,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 70
      },
      "id": 33,
      "panels": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "description": "Instances of the project. Needs the collector enterprise, as does all of this row.",
          "fieldConfig": {
            "defaults": {
              "links": [],
              "noValue": "collector enterprise is off",
              "thresholds": {
                "mode": "absolute" as any,
                "steps": [
                  {
                    "color": "text",
                    "value": null
                  }
                ]
              },
              "unit": "short"
            },
            "overrides": []
          },
          "gridPos": {
            "h": 4,
            "w": 4,
            "x": 0,
            "y": 71
          },
          "id": 34,
          "options": {
            "colorMode": "value",
            "graphMode": "none",
            "reduceOptions": {
              "calcs": [
                "lastNotNull"
              ],
              "fields": "",
              "values": false
            },
            "textMode": "auto"
          },
          "targets": [
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "sum(max without (instance, pod, node, replica) (swr_instances{job=~\"$job\", account=~\"$account\"}))",
              "format": "time_series",
              "instant": true,
              "legendFormat": "__auto",
              "range": false,
              "refId": "A"
            }
          ],
          "title": "Instances",
          "type": "stat"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "description": "What each instance is and holds, and when it expires, where it does.",
          "fieldConfig": {
            "defaults": {
              "noValue": "collector enterprise is off, or there is no instance",
              "thresholds": {
                "mode": "absolute" as any,
                "steps": [
                  {
                    "color": "text",
                    "value": null
                  }
                ]
              },
              "unit": "short"
            },
            "overrides": [
              {
                "matcher": {
                  "id": "byName",
                  "options": "Value #A"
                },
                "properties": [
                  {
                    "id": "displayName",
                    "value": "Storage"
                  },
                  {
                    "id": "unit",
                    "value": "bytes"
                  }
                ]
              },
              {
                "matcher": {
                  "id": "byName",
                  "options": "Value #B"
                },
                "properties": [
                  {
                    "id": "displayName",
                    "value": "Repositories"
                  },
                  {
                    "id": "unit",
                    "value": "short"
                  }
                ]
              },
              {
                "matcher": {
                  "id": "byName",
                  "options": "Value #C"
                },
                "properties": [
                  {
                    "id": "displayName",
                    "value": "Expires in"
                  },
                  {
                    "id": "unit",
                    "value": "s"
                  }
                ]
              }
            ]
          },
          "gridPos": {
            "h": 4,
            "w": 20,
            "x": 4,
            "y": 71
          },
          "id": 35,
          "options": {
            "showHeader": true,
            "sortBy": [
              {
                "desc": true,
                "displayName": "Storage"
              }
            ]
          },
          "targets": [
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "max by (account, instance_id, name, spec, version, status) (max without (instance, pod, node, replica) (swr_instance_storage_bytes{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name, spec, version, status) (max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (status) max without (instance, pod, node, replica) (swr_instance_status{job=~\"$job\", account=~\"$account\"})))",
              "format": "table",
              "instant": true,
              "legendFormat": "Storage",
              "range": false,
              "refId": "A"
            },
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "max by (account, instance_id, name, spec, version, status) (max without (instance, pod, node, replica) (swr_instance_repositories{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name, spec, version, status) (max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (status) max without (instance, pod, node, replica) (swr_instance_status{job=~\"$job\", account=~\"$account\"})))",
              "format": "table",
              "instant": true,
              "legendFormat": "Repositories",
              "range": false,
              "refId": "B"
            },
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "max by (account, instance_id, name, spec, version, status) ((max without (instance, pod, node, replica) (swr_instance_expiry_timestamp_seconds{job=~\"$job\", account=~\"$account\"}) - time()) * on (instance_id) group_left (name, spec, version, status) (max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (status) max without (instance, pod, node, replica) (swr_instance_status{job=~\"$job\", account=~\"$account\"})))",
              "format": "table",
              "instant": true,
              "legendFormat": "Expires in",
              "range": false,
              "refId": "C"
            }
          ],
          "title": "Instances by name",
          "transformations": [
            {
              "id": "merge",
              "options": {}
            },
            {
              "id": "organize",
              "options": {
                "excludeByName": {
                  "Time": true
                },
                "indexByName": {
                  "account": 2,
                  "alertname": 0,
                  "category": 6,
                  "collector": 9,
                  "instance": 11,
                  "instance_id": 13,
                  "name": 12,
                  "namespace": 3,
                  "quota": 8,
                  "reason": 10,
                  "repository": 4,
                  "revision": 16,
                  "rustversion": 17,
                  "severity": 1,
                  "spec": 14,
                  "status": 18,
                  "tag": 5,
                  "version": 15,
                  "visibility": 7
                },
                "renameByName": {
                  "account": "Account",
                  "alertname": "Alert",
                  "category": "Category",
                  "collector": "Collector",
                  "instance": "Exporter",
                  "instance_id": "Instance ID",
                  "name": "Instance",
                  "namespace": "Organisation",
                  "quota": "Quota",
                  "reason": "Reason",
                  "repository": "Repository",
                  "revision": "Revision",
                  "rustversion": "Compiler",
                  "severity": "Severity",
                  "spec": "Edition",
                  "status": "Status",
                  "tag": "Tag",
                  "version": "Version",
                  "visibility": "Visibility"
                }
              }
            }
          ],
          "type": "table"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "description": "Share of each quota that is used, the 20 highest. Quotas of which nothing is used are left out.",
          "fieldConfig": {
            "defaults": {
              "links": [],
              "max": 1,
              "min": 0,
              "noValue": "collector enterprise is off, or there is no instance",
              "thresholds": {
                "mode": "absolute" as any,
                "steps": [
                  {
                    "color": "green",
                    "value": null
                  },
                  {
                    "color": "yellow",
                    "value": 0.75
                  },
                  {
                    "color": "red",
                    "value": 0.9
                  }
                ]
              },
              "unit": "percentunit"
            },
            "overrides": []
          },
          "gridPos": {
            "h": 8,
            "w": 12,
            "x": 0,
            "y": 75
          },
          "id": 36,
          "options": {
            "displayMode": "basic",
            "orientation": "horizontal",
            "reduceOptions": {
              "calcs": [
                "lastNotNull"
              ],
              "fields": "",
              "values": false
            }
          },
          "targets": [
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "topk(20, (max without (instance, pod, node, replica) (swr_instance_quota_used{job=~\"$job\", account=~\"$account\"}) / (max without (instance, pod, node, replica) (swr_instance_quota_limit{job=~\"$job\", account=~\"$account\"}) > 0) > 0) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"}))",
              "format": "time_series",
              "instant": true,
              "legendFormat": "{{name}}: {{quota}}",
              "range": false,
              "refId": "A"
            }
          ],
          "title": "Quotas of instances",
          "type": "bargauge"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "description": "Storage used by each instance.",
          "fieldConfig": {
            "defaults": {
              "custom": {
                "fillOpacity": 8,
                "showPoints": "never"
              },
              "links": [],
              "min": 0,
              "noValue": "collector enterprise is off, or there is no instance",
              "thresholds": {
                "mode": "absolute" as any,
                "steps": [
                  {
                    "color": "text",
                    "value": null
                  }
                ]
              },
              "unit": "bytes"
            },
            "overrides": []
          },
          "gridPos": {
            "h": 8,
            "w": 12,
            "x": 12,
            "y": 75
          },
          "id": 37,
          "options": {
            "legend": {
              "displayMode": "list",
              "placement": "bottom",
              "showLegend": true
            },
            "tooltip": {
              "mode": "multi",
              "sort": "desc"
            }
          },
          "targets": [
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "max without (instance, pod, node, replica) (swr_instance_storage_bytes{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})",
              "format": "time_series",
              "instant": false,
              "legendFormat": "{{name}}",
              "range": true,
              "refId": "A"
            }
          ],
          "title": "Storage by instance",
          "type": "timeseries"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "description": "The 20 namespaces with the most tags. The API tells the size of whole instances only.",
          "fieldConfig": {
            "defaults": {
              "noValue": "collector enterprise is off, or there is no instance",
              "thresholds": {
                "mode": "absolute" as any,
                "steps": [
                  {
                    "color": "text",
                    "value": null
                  }
                ]
              },
              "unit": "short"
            },
            "overrides": [
              {
                "matcher": {
                  "id": "byName",
                  "options": "Value #A"
                },
                "properties": [
                  {
                    "id": "displayName",
                    "value": "Tags"
                  },
                  {
                    "id": "unit",
                    "value": "short"
                  }
                ]
              },
              {
                "matcher": {
                  "id": "byName",
                  "options": "Value #B"
                },
                "properties": [
                  {
                    "id": "displayName",
                    "value": "Downloads"
                  },
                  {
                    "id": "unit",
                    "value": "short"
                  }
                ]
              }
            ]
          },
          "gridPos": {
            "h": 10,
            "w": 12,
            "x": 0,
            "y": 83
          },
          "id": 38,
          "options": {
            "showHeader": true,
            "sortBy": [
              {
                "desc": true,
                "displayName": "Tags"
              }
            ]
          },
          "targets": [
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "sum by (account, namespace, name) (max without (instance, pod, node, replica) (swr_instance_repository_tags{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})) and topk(20, sum by (account, namespace, name) (max without (instance, pod, node, replica) (swr_instance_repository_tags{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})))",
              "format": "table",
              "instant": true,
              "legendFormat": "Tags",
              "range": false,
              "refId": "A"
            },
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "sum by (account, namespace, name) (max without (instance, pod, node, replica) (swr_instance_repository_downloads{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})) and topk(20, sum by (account, namespace, name) (max without (instance, pod, node, replica) (swr_instance_repository_tags{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})))",
              "format": "table",
              "instant": true,
              "legendFormat": "Downloads",
              "range": false,
              "refId": "B"
            }
          ],
          "title": "Namespaces of instances",
          "transformations": [
            {
              "id": "merge",
              "options": {}
            },
            {
              "id": "organize",
              "options": {
                "excludeByName": {
                  "Time": true
                },
                "indexByName": {
                  "account": 2,
                  "alertname": 0,
                  "category": 6,
                  "collector": 9,
                  "instance": 11,
                  "instance_id": 13,
                  "name": 12,
                  "namespace": 3,
                  "quota": 8,
                  "reason": 10,
                  "repository": 4,
                  "revision": 16,
                  "rustversion": 17,
                  "severity": 1,
                  "spec": 14,
                  "status": 18,
                  "tag": 5,
                  "version": 15,
                  "visibility": 7
                },
                "renameByName": {
                  "account": "Account",
                  "alertname": "Alert",
                  "category": "Category",
                  "collector": "Collector",
                  "instance": "Exporter",
                  "instance_id": "Instance ID",
                  "name": "Instance",
                  "namespace": "Organisation",
                  "quota": "Quota",
                  "reason": "Reason",
                  "repository": "Repository",
                  "revision": "Revision",
                  "rustversion": "Compiler",
                  "severity": "Severity",
                  "spec": "Edition",
                  "status": "Status",
                  "tag": "Tag",
                  "version": "Version",
                  "visibility": "Visibility"
                }
              }
            }
          ],
          "type": "table"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "description": "The 20 repositories with the most tags.",
          "fieldConfig": {
            "defaults": {
              "noValue": "collector enterprise is off, or there is no instance",
              "thresholds": {
                "mode": "absolute" as any,
                "steps": [
                  {
                    "color": "text",
                    "value": null
                  }
                ]
              },
              "unit": "short"
            },
            "overrides": [
              {
                "matcher": {
                  "id": "byName",
                  "options": "Value #A"
                },
                "properties": [
                  {
                    "id": "displayName",
                    "value": "Tags"
                  },
                  {
                    "id": "unit",
                    "value": "short"
                  }
                ]
              },
              {
                "matcher": {
                  "id": "byName",
                  "options": "Value #B"
                },
                "properties": [
                  {
                    "id": "displayName",
                    "value": "Artifacts"
                  },
                  {
                    "id": "unit",
                    "value": "short"
                  }
                ]
              },
              {
                "matcher": {
                  "id": "byName",
                  "options": "Value #C"
                },
                "properties": [
                  {
                    "id": "displayName",
                    "value": "Downloads"
                  },
                  {
                    "id": "unit",
                    "value": "short"
                  }
                ]
              }
            ]
          },
          "gridPos": {
            "h": 10,
            "w": 12,
            "x": 12,
            "y": 83
          },
          "id": 39,
          "options": {
            "showHeader": true,
            "sortBy": [
              {
                "desc": true,
                "displayName": "Tags"
              }
            ]
          },
          "targets": [
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "max by (account, namespace, repository, name) (max without (instance, pod, node, replica) (swr_instance_repository_tags{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})) and topk(20, max by (account, namespace, repository, name) (max without (instance, pod, node, replica) (swr_instance_repository_tags{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})))",
              "format": "table",
              "instant": true,
              "legendFormat": "Tags",
              "range": false,
              "refId": "A"
            },
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "max by (account, namespace, repository, name) (max without (instance, pod, node, replica) (swr_instance_repository_artifacts{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})) and topk(20, max by (account, namespace, repository, name) (max without (instance, pod, node, replica) (swr_instance_repository_tags{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})))",
              "format": "table",
              "instant": true,
              "legendFormat": "Artifacts",
              "range": false,
              "refId": "B"
            },
            {
              "datasource": {
                "type": "prometheus",
                "uid": "${datasource}"
              },
              "expr": "max by (account, namespace, repository, name) (max without (instance, pod, node, replica) (swr_instance_repository_downloads{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})) and topk(20, max by (account, namespace, repository, name) (max without (instance, pod, node, replica) (swr_instance_repository_tags{job=~\"$job\", account=~\"$account\"}) * on (instance_id) group_left (name) max without (instance, pod, node, replica) (swr_instance_info{job=~\"$job\", account=~\"$account\"})))",
              "format": "table",
              "instant": true,
              "legendFormat": "Downloads",
              "range": false,
              "refId": "C"
            }
          ],
          "title": "Repositories of instances",
          "transformations": [
            {
              "id": "merge",
              "options": {}
            },
            {
              "id": "organize",
              "options": {
                "excludeByName": {
                  "Time": true
                },
                "indexByName": {
                  "account": 2,
                  "alertname": 0,
                  "category": 6,
                  "collector": 9,
                  "instance": 11,
                  "instance_id": 13,
                  "name": 12,
                  "namespace": 3,
                  "quota": 8,
                  "reason": 10,
                  "repository": 4,
                  "revision": 16,
                  "rustversion": 17,
                  "severity": 1,
                  "spec": 14,
                  "status": 18,
                  "tag": 5,
                  "version": 15,
                  "visibility": 7
                },
                "renameByName": {
                  "account": "Account",
                  "alertname": "Alert",
                  "category": "Category",
                  "collector": "Collector",
                  "instance": "Exporter",
                  "instance_id": "Instance ID",
                  "name": "Instance",
                  "namespace": "Organisation",
                  "quota": "Quota",
                  "reason": "Reason",
                  "repository": "Repository",
                  "revision": "Revision",
                  "rustversion": "Compiler",
                  "severity": "Severity",
                  "spec": "Edition",
                  "status": "Status",
                  "tag": "Tag",
                  "version": "Version",
                  "visibility": "Visibility"
                }
              }
            }
          ],
          "type": "table"
        }
      ],
      "title": "Enterprise Edition",
      "type": "row"
    }
  ],
  "refresh": "1m",
  "schemaVersion": 41,
  "tags": [
    "swr-exporter"
  ],
  "templating": {
    "list": [
      {
        "label": "Data source",
        "name": "datasource",
        "query": "prometheus",
        "type": "datasource"
      },
      {
        "allValue": ".+",
        "current": {
          "text": [
            "All"
          ],
          "value": [
            "$__all"
          ]
        },
        "datasource": {
          "type": "prometheus",
          "uid": "${datasource}"
        },
        "includeAll": true,
        "label": "Job",
        "multi": true,
        "name": "job",
        "query": {
          "query": "label_values({__name__=~\"swr_up|swr_exporter_build_info\"}, job)",
          "refId": "job"
        },
        "refresh": 2,
        "sort": 5,
        "type": "query"
      },
      {
        "allValue": ".*",
        "current": {
          "text": [
            "All"
          ],
          "value": [
            "$__all"
          ]
        },
        "datasource": {
          "type": "prometheus",
          "uid": "${datasource}"
        },
        "includeAll": true,
        "label": "Account",
        "multi": true,
        "name": "account",
        "query": {
          "query": "label_values(swr_up{job=~\"$job\"}, account)",
          "refId": "account"
        },
        "refresh": 2,
        "sort": 5,
        "type": "query"
      },
      {
        "allValue": ".+",
        "current": {
          "text": [
            "All"
          ],
          "value": [
            "$__all"
          ]
        },
        "datasource": {
          "type": "prometheus",
          "uid": "${datasource}"
        },
        "includeAll": true,
        "label": "Organisation",
        "multi": true,
        "name": "namespace",
        "query": {
          "query": "label_values(swr_namespace_repositories{job=~\"$job\", account=~\"$account\"}, namespace)",
          "refId": "namespace"
        },
        "refresh": 2,
        "sort": 5,
        "type": "query"
      }
    ]
  },
  "time": {
    "from": "now-7d",
    "to": "now"
  },
  "timezone": "",
  "title": "SWR / Overview",
  "uid": "swr-overview",
  "version": 1
}
;
